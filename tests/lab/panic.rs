//! Takes the terminal as the program does and panics, to show that the terminal is given back and the report readable.

fn main() {
    let _guard = warroom::runtime::terminal::Guard::enter(true).expect("a terminal");
    std::thread::sleep(std::time::Duration::from_millis(300));
    panic!("this panic is part of a test");
}
