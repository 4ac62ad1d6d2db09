//! Work on many at once, bounded, every one of them to its end.

use std::future::Future;

use futures::stream::{self, StreamExt};

/// Runs `work` for every item, at most `limit` at once (at least one), and returns what each gave in the items' order.
/// Nothing is cancelled because another failed: whoever puts things back must know how each ended.
pub async fn fan_out<T, R, F, Fut>(items: impl IntoIterator<Item = T>, limit: usize, work: F) -> Vec<(T, R)>
where
    T: Clone,
    F: Fn(T) -> Fut,
    Fut: Future<Output = R>,
{
    let running = items.into_iter().enumerate().map(|(index, item)| {
        let result = work(item.clone());
        async move { (index, item, result.await) }
    });
    let mut done: Vec<(usize, T, R)> = stream::iter(running).buffer_unordered(limit.max(1)).collect().await;
    done.sort_by_key(|(index, ..)| *index);
    done.into_iter().map(|(_, item, result)| (item, result)).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn all_run_to_their_end_in_order_and_bounded() {
        let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let (now, most) = (&now, &most);
        let done = fan_out(0..20usize, 3, |n| async move {
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            for _ in 0..(20 - n) {
                tokio::task::yield_now().await;
            }
            now.fetch_sub(1, Ordering::SeqCst);
            if n % 2 == 0 { Ok(n) } else { Err(n) }
        })
        .await;
        assert_eq!(done.len(), 20);
        assert!(done.iter().enumerate().all(|(i, (n, r))| i == *n && r.is_ok() == (n % 2 == 0)));
        assert_eq!(most.load(Ordering::SeqCst), 3);
    }
}
