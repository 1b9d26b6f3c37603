//! Work shared between threads. What is shared is cut in the same way whatever their number, and
//! sums are added in the order of the pieces: results are the same bits on one thread and on many.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Calls `work` once for each number below `count`, on up to `threads` threads.
pub fn each(threads: usize, count: usize, work: impl Fn(usize) + Sync) {
    let helpers = threads.min(count).saturating_sub(1);
    if helpers == 0 {
        return (0..count).for_each(work);
    }
    let next = AtomicUsize::new(0);
    let take = || {
        loop {
            match next.fetch_add(1, Ordering::Relaxed) {
                index if index < count => work(index),
                _ => break,
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..helpers {
            scope.spawn(take);
        }
        take();
    });
}

/// Calls `work` once for each part with its number, on up to `threads` threads; what it answers, in
/// the order of the parts.
pub fn each_part<P: Send, R: Send>(
    threads: usize,
    parts: impl IntoIterator<Item = P>,
    work: impl Fn(usize, P) -> R + Sync,
) -> Vec<R> {
    let parts: Vec<_> = parts.into_iter().map(|part| Mutex::new((Some(part), None))).collect();
    each(threads, parts.len(), |index| {
        let part = lock(&parts[index]).0.take();
        if let Some(part) = part {
            let answer = work(index, part);
            lock(&parts[index]).1 = Some(answer);
        }
    });
    let answers = parts.into_iter().map(|part| match part.into_inner() {
        Ok(part) => part.1,
        Err(poisoned) => poisoned.into_inner().1,
    });
    answers.flatten().collect()
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_come_in_the_order_of_the_parts_on_any_number_of_threads() {
        let expected: Vec<usize> = (0..50).map(|part| part * part).collect();
        for threads in [0, 1, 2, 7] {
            assert_eq!(each_part(threads, 0..50, |index, part: usize| index * part), expected);
        }
    }
}
