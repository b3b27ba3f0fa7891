//! Values that are made when they are first used.

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, LazyLock};

/// A value that its first use makes. Others who use it meanwhile wait for it.
pub struct Deferred<T>(Arc<LazyLock<T, Maker<T>>>);

type Maker<T> = Box<dyn FnOnce() -> T + Send>;

impl<T> Deferred<T> {
    /// A value that `make` makes.
    pub fn new(make: impl FnOnce() -> T + Send + 'static) -> Self {
        let maker: Maker<T> = Box::new(make);
        Self(Arc::new(LazyLock::new(maker)))
    }
}

impl<T: Send + 'static> From<T> for Deferred<T> {
    /// A value that has been made already.
    fn from(value: T) -> Self {
        Self::new(move || value)
    }
}

impl<T: Default + Send + 'static> Default for Deferred<T> {
    fn default() -> Self {
        T::default().into()
    }
}

impl<T> Clone for Deferred<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Deref for Deferred<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: fmt::Debug> fmt::Debug for Deferred<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_made_once_by_its_first_use() {
        let (made, count) = std::sync::mpsc::channel::<()>();
        let value = Deferred::new(move || made.send(()).is_ok());
        let same = value.clone();
        assert!(count.try_recv().is_err(), "not before it is used");
        let other = std::thread::spawn(move || *same);
        assert!(*value && other.join().unwrap());
        assert_eq!(count.iter().count(), 1);
        assert_eq!(Deferred::from(7).to_string(), "7");
    }
}
