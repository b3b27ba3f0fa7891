//! Work on several threads whose results are taken in order.

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// The number of processors that the program may use.
pub(super) fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Applies `work` to what `next` gives, on `threads` threads, and passes the results to `take` in the order of `next`. At most a few items per
/// thread are in memory. With one thread everything happens on the calling one.
pub(super) fn in_order<T: Send, R: Send>(
    threads: usize,
    mut next: impl FnMut() -> Option<T> + Send,
    work: impl Fn(T) -> R + Sync,
    mut take: impl FnMut(R),
) {
    if threads <= 1 {
        while let Some(item) = next() {
            take(work(item));
        }
        return;
    }
    let (jobs, queue) = sync_channel::<(T, SyncSender<R>)>(1);
    let (order, results) = sync_channel::<Receiver<R>>(threads);
    let (queue, work) = (&Mutex::new(queue), &work);
    std::thread::scope(move |scope| {
        for _ in 0..threads {
            scope.spawn(move || {
                let job = || queue.lock().ok().and_then(|queue| queue.recv().ok());
                while let Some((item, reply)) = job() {
                    // The receiver is gone only if `take` has panicked.
                    let _gone = reply.send(work(item));
                }
            });
        }
        scope.spawn(move || {
            while let Some(item) = next() {
                let (reply, result) = sync_channel(1);
                if order.send(result).is_err() || jobs.send((item, reply)).is_err() {
                    return;
                }
            }
        });
        for result in results {
            // A thread that panicked has no result; the scope passes its panic on.
            if let Ok(result) = result.recv() {
                take(result);
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_order_for_any_number_of_threads() {
        for threads in [1, 2, 3, 8] {
            let mut numbers = 0..1000_u64;
            let mut taken = Vec::new();
            // Some items take longer than those after them.
            let work = |n: u64| (0..(n % 7) * 1000).fold(n, |sum, k| sum ^ std::hint::black_box(k) ^ k);
            in_order(threads, || numbers.next(), work, |n| taken.push(n));
            assert_eq!(taken, (0..1000).collect::<Vec<_>>(), "{threads}");
        }
    }

    #[test]
    fn a_panic_is_passed_on() {
        let mut numbers = 0..100;
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            in_order(2, || numbers.next(), |n| assert_ne!(n, 50, "as tested"), |()| {});
        }));
        assert!(result.is_err());
    }
}
