//! A function applied to many values on several threads.

use std::sync::OnceLock;

/// More threads would not pay for starting them.
const MAX_THREADS: usize = 4;

/// The results for all items, in their order. Fewer than `enough` items are worked on by the calling thread alone. A panic of
/// `work` is passed on.
pub fn map_all<T: Sync, R: Send>(items: &[T], enough: usize, work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    // Asking the system on each call would cost more than a short list does.
    static PROCESSORS: OnceLock<usize> = OnceLock::new();
    let threads = *PROCESSORS.get_or_init(|| std::thread::available_parallelism().map_or(1, usize::from).min(MAX_THREADS));
    if items.len() < enough || threads < 2 {
        return items.iter().map(work).collect();
    }
    let work = &work;
    let mut parts = items.chunks(items.len().div_ceil(threads));
    let own = parts.next().unwrap_or_default();
    std::thread::scope(|scope| {
        let others: Vec<_> = parts.map(|part| scope.spawn(move || part.iter().map(work).collect::<Vec<R>>())).collect();
        let mut results: Vec<R> = own.iter().map(work).collect();
        for part in others {
            results.extend(part.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        results
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_in_the_order_of_the_items() {
        for len in [0, 1, 2, 3, 4, 5, 9, 1000] {
            let items: Vec<u64> = (0..len).collect();
            let expected: Vec<u64> = items.iter().map(|n| n * n).collect();
            assert_eq!(map_all(&items, 2, |n| n * n), expected, "{len}");
        }
    }

    #[test]
    fn a_panic_is_passed_on() {
        let items: Vec<u64> = (0..100).collect();
        let result = std::panic::catch_unwind(|| map_all(&items, 2, |n| assert_ne!(*n, 99, "as tested")));
        assert!(result.is_err());
    }
}
