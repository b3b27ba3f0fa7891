//! Values that are made on another thread while the program starts.

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, LazyLock};

/// A value that another thread makes. The first use waits for it.
pub struct Deferred<T>(Arc<LazyLock<T, Maker<T>>>);

type Maker<T> = Box<dyn FnOnce() -> T + Send>;

impl<T: Send + Sync + 'static> Deferred<T> {
    /// Begins to make the value.
    pub fn start(make: impl FnOnce() -> T + Send + 'static) -> Self {
        let maker: Maker<T> = Box::new(make);
        let value = Self(Arc::new(LazyLock::new(maker)));
        let made = value.clone();
        // If there is no thread to be had, the first use makes the value.
        let _thread = std::thread::Builder::new().spawn(move || {
            LazyLock::force(&made.0);
        });
        value
    }
}

impl<T: Send + 'static> From<T> for Deferred<T> {
    /// A value that is there already.
    fn from(value: T) -> Self {
        let maker: Maker<T> = Box::new(move || value);
        Self(Arc::new(LazyLock::new(maker)))
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
    fn a_value_is_made_once_and_the_first_use_waits_for_it() {
        let (ready, wait) = std::sync::mpsc::channel::<()>();
        let mut made = 0;
        let value = Deferred::start(move || {
            made += 1;
            wait.recv().map_or(0, |()| made)
        });
        let same = value.clone();
        let first = std::thread::spawn(move || *same);
        ready.send(()).unwrap();
        assert_eq!((first.join().unwrap(), *value), (1, 1));
        assert_eq!(Deferred::from(7).to_string(), "7");
    }
}
