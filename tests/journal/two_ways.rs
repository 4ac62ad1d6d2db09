//! A directory, and the same directory of the same host by ssh, are one journal.

use std::{sync::Arc, time::Instant};

use bluegreen::{
    edge::journal::{FileStore, OpenError, Store, read},
    engine::Journal as _,
};

use crate::kinds::{SOON, created, open, open_within, ssh, synced, ticket};

#[tokio::test(flavor = "multi_thread")]
async fn whoever_works_on_the_host_itself_shares_the_lock_and_the_records() {
    let kind = ssh();
    let (far, near): (_, Arc<dyn Store>) = (kind.store(), Arc::new(FileStore::new(kind.dir.clone())));
    let pairs = [(&far, &near), (&near, &far), (&far, &near)];
    for (round, (holder, other)) in pairs.into_iter().enumerate() {
        let mut journal = open(holder, "deploy").await.unwrap();
        journal.append(if round == 0 { created() } else { synced(round as u32) }).await.unwrap();
        let said = std::fs::read_to_string(kind.dir.join("lock")).unwrap();
        assert_eq!(said, "`deploy` by anna@desk (process 7)\n");
        let refused = open(other, "flip").await.err().unwrap();
        assert!(matches!(&refused, OpenError::Locked(ahead) if ahead[0].ticket.command == "deploy"), "{refused}");
        let reading = read(other.as_ref()).await.unwrap();
        assert_eq!(reading.state.length, round as u64 + 1);
        assert_eq!(reading.queue.holder(), Some(&ticket("deploy")));
        let waits = tokio::spawn({
            let other = other.clone();
            async move {
                let opened = open_within(&other, "flip", Some(SOON)).await.map(|journal| journal.state().length);
                other.leave().await;
                opened
            }
        });
        let end = Instant::now() + SOON;
        while holder.queue().await.unwrap().tickets.len() < 2 {
            assert!(Instant::now() < end);
        }
        holder.leave().await;
        assert_eq!(waits.await.unwrap().unwrap(), round as u64 + 1);
    }
}
