//! Sets up the terminal like the program and panics, to test that the terminal is restored and the panic message is
//! readable.

fn main() {
    let _guard = warroom::runtime::terminal::Guard::enter(true).expect("a terminal");
    std::thread::sleep(std::time::Duration::from_millis(300));
    panic!("this panic is part of a test");
}
