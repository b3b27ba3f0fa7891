//! What leaves for other people's systems, once a person has confirmed that very act.

pub mod tracker;
