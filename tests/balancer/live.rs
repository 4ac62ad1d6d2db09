//! The switch tree: prepare, commit, confirm, what a look sees, and requests in flight.

use std::collections::HashSet;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::time::Instant;

use bluegreen::edge::balancer::{Current, How, InFlight, Kind, Standing};
use bluegreen_core::Half;
use bluegreen_core::nginx::state::Seen;
use bluegreen_core::traffic::{SegmentShare, Share, Traffic};

use crate::site::{JOURNAL, Site, all, generation, generation_of, options};

fn canary(mobile: u16, offset: u8) -> Traffic {
    let share =
        |segment: &str, green| SegmentShare { segment: segment.into(), green: Share::from_hundredths(green).unwrap() };
    Traffic::split(vec![share("mobile", mobile), share("all", 0)], offset)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_equal_in_a_tree_is_one_inode_of_many_names_and_nginx_does_not_mind() {
    let site = Site::wired(options()).await;
    let green = Traffic::on(Half::Green, &["mobile".into()]);
    site.shift(2, &green).await;
    all(site.balancers.every_bucket_all(2, &green).await);
    let root = site.live("lb1").join("gen/2");
    let (mut entries, mut inodes, mut left) = (0, HashSet::new(), vec![root.clone()]);
    while let Some(path) = left.pop() {
        let meta = std::fs::symlink_metadata(&path).unwrap();
        entries += 1;
        inodes.insert(meta.ino());
        if meta.is_dir() {
            left.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
    // The tree, `full`, `green` and the segments; one file, one link to `full`, one between segments, `traffic.json`.
    assert!(entries > 200 && inodes.len() <= 9, "{entries} entries, {} inodes", inodes.len());
    assert!(root.join("green/all/99").is_symlink() && root.join("full/99").is_file());
    let look = site.balancers.look("lb1").await.unwrap();
    assert!(matches!(look.standing(JOURNAL), Standing::Ours(said) if said.generation == 2), "{look:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shift_is_prepared_with_its_way_back_committed_and_confirmed_everywhere() {
    let site = Site::wired(options()).await;
    let (forth, back) = (canary(1_025, 37), Traffic::on(Half::Blue, &["mobile".into()]));
    let both = [generation(2, &forth), generation(3, &back)];
    for (_, prepared) in all(site.balancers.prepare_all(&both).await) {
        assert_eq!((prepared.current, prepared.generations), (Some(1), vec![(2, How::Made), (3, How::Made)]));
    }
    for (_, prepared) in all(site.balancers.prepare_all(&both).await) {
        assert_eq!(prepared.generations, [(2, How::Kept), (3, How::Kept)]);
    }
    for (_, was) in all(site.balancers.commit_all(2, JOURNAL, &both[0].file.hash).await) {
        assert_eq!(was, Some(1));
    }
    all(site.balancers.confirm_all(2, &forth, Some(1)).await);
    let began = Instant::now();
    all(site.balancers.every_bucket_all(2, &forth).await);
    eprintln!("every bucket on two balancers: {} ms", began.elapsed().as_millis());
    // The way back is one commit; a late commit of the way forth then finds it.
    all(site.balancers.commit_all(3, JOURNAL, &both[1].file.hash).await);
    all(site.balancers.confirm_all(3, &back, None).await);
    let late = site.balancers.commit("lb1", 2, JOURNAL, &both[0].file.hash).await.unwrap_err();
    assert_eq!(late.fenced_by(), Some(3), "{late}");
    let look = site.balancers.look("lb1").await.unwrap();
    assert!(matches!(look.standing(JOURNAL), Standing::Ours(said) if said.generation == 3), "{look:?}");
    assert_eq!((look.highest(), look.generations, look.current), (3, vec![1, 2, 3], Current::Generation(3)));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_drift_is_seen_by_a_look_and_a_broken_bucket_by_the_workers() {
    let site = Site::wired(options()).await;
    let green = Traffic::on(Half::Green, &["mobile".into()]);
    site.shift(2, &green).await;
    let tree = site.live("lb2").join("gen/2");
    let standing = async || site.balancers.look("lb2").await.unwrap().standing(JOURNAL);
    assert!(matches!(standing().await, Standing::Ours(_)));

    std::fs::write(tree.join("both"), "").unwrap();
    assert!(matches!(standing().await, Standing::Drifted { .. }), "an extra file");
    let wrong = site.balancers.every_bucket("lb2", 2, &green).await.unwrap_err();
    assert!(matches!(&wrong.kind, Kind::Unconfirmed { answered, .. } if answered.starts_with("both ")), "{wrong}");
    std::fs::remove_file(tree.join("both")).unwrap();

    let bucket = tree.join("green/mobile/42");
    std::fs::remove_file(&bucket).unwrap();
    std::os::unix::fs::symlink("../../gone", &bucket).unwrap();
    assert!(matches!(standing().await, Standing::Drifted { .. }), "a broken link");
    let wrong = site.balancers.every_bucket("lb2", 2, &green).await.unwrap_err();
    assert!(matches!(&wrong.kind, Kind::Unconfirmed { at, .. } if at.contains("/42/")), "{wrong}");
    std::fs::remove_file(&bucket).unwrap();
    std::os::unix::fs::symlink("../../full", &bucket).unwrap();

    std::fs::set_permissions(&tree, std::fs::Permissions::from_mode(0o0)).unwrap();
    assert!(matches!(standing().await, Standing::Drifted { .. } | Standing::Damaged { .. }), "an unreadable tree");
    std::fs::set_permissions(&tree, std::fs::Permissions::from_mode(0o755)).unwrap();
    assert!(matches!(standing().await, Standing::Ours(_)));

    std::fs::remove_dir_all(&tree).unwrap();
    assert!(matches!(standing().await, Standing::Damaged { generation: Some(2), .. }), "a purged tree");
    let state = site.balancers.state("lb2", "all/00/00").await.unwrap();
    assert_eq!(state.half, Seen::Blue, "it fails towards blue");
    // It is mended by the next generation.
    site.shift(3, &green).await;
    assert!(matches!(standing().await, Standing::Ours(_)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tree_of_another_journal_stands_in_the_way_of_everything() {
    let site = Site::wired(options().balancers(1)).await;
    let other = generation_of("j-other", 5, &Traffic::Both);
    let refused = site.balancers.prepare("lb1", &[other]).await.unwrap_err();
    assert!(refused.is_foreign() && refused.to_string().contains(JOURNAL), "{refused}");
    let look = site.balancers.look("lb1").await.unwrap();
    assert!(matches!(look.standing("j-other"), Standing::Foreign { generation: 1, .. }));
    let hash = generation(1, &Traffic::Both).file.hash;
    assert!(site.balancers.commit("lb1", 9, "j-other", &hash).await.unwrap_err().is_foreign());
    let missing = site.balancers.commit("lb1", 9, JOURNAL, &hash).await.unwrap_err();
    assert!(matches!(missing.kind, Kind::Missing { generation: 9 }), "{missing}");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_in_flight_are_seen_on_their_half() {
    let site = Site::wired(options().balancers(1)).await;
    assert_eq!(site.balancers.inflight("lb1", Seen::Both).await.unwrap(), InFlight::None);
    for host in ["web1", "web2"] {
        site.pg.start_app(host, "v1", &bg_playground::Behaviour::default()).unwrap();
    }
    // An upload that does not end: it holds its request open until it is dropped.
    let mut upload = std::net::TcpStream::connect(site.pg.balancer("lb1").public).unwrap();
    let head = b"POST / HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 1000\r\n\r\n";
    std::io::Write::write_all(&mut upload, head).unwrap();
    wait_for(&site, Seen::Both, InFlight::AtLeast(1)).await;
    assert_eq!(site.balancers.inflight("lb1", Seen::Green).await.unwrap(), InFlight::None);
    drop(upload);
    wait_for(&site, Seen::Both, InFlight::None).await;
}

async fn wait_for(site: &Site, half: Seen, wanted: InFlight) {
    let until = Instant::now() + std::time::Duration::from_secs(60);
    while site.balancers.inflight("lb1", half).await.unwrap() != wanted {
        assert!(Instant::now() < until, "never {wanted:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bare_host_is_looked_at_and_told_from_a_dead_one() {
    let mut site = Site::bare(options());
    let look = site.balancers.look("lb1").await.unwrap();
    assert_eq!((look.standing(JOURNAL), look.generations.len()), (Standing::Nothing, 0));
    let first = generation(1, &Traffic::Both);
    let refused = site.balancers.commit("lb1", 1, JOURNAL, &first.file.hash).await.unwrap_err();
    assert!(matches!(refused.kind, Kind::NoDirs { .. }), "{refused}");
    // Preparing makes them: whoever purged them took nothing else away.
    assert_eq!(site.balancers.prepare("lb1", &[first]).await.unwrap().generations, [(1, How::Made)]);
    assert!(!site.balancers.wired("lb1").await.unwrap());
    site.pg.stop_sshd("lb2").unwrap();
    let each = site.balancers.look_all().await;
    assert!(each[0].1.is_ok());
    assert!(each[1].1.as_ref().is_err_and(|error| error.host == "lb2" && error.is_unreachable()), "{:?}", each[1]);
    assert!(!site.balancers.own_addresses("lb1").await.unwrap().is_empty());
}
