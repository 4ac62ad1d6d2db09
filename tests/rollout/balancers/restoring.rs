//! `restoring` cannot fail towards blue: a tree that breaks there is seen at the next step, and named.

use std::{io::Write, net::TcpStream};

use super::*;

#[test]
fn a_tree_that_breaks_while_blue_is_restored_is_named_at_the_next_step() {
    for command in ["resume", "abort"] {
        let site = staged(two_balancers().each_pool(|pool| pool.drain("timeout", "\"60s\"")));
        run(&site, "flip").expect(0);
        let blue = site.app_pid("web1");
        // Somebody who does not come through the balancers holds the drain up.
        let mut stranger = TcpStream::connect(site.place("web1").listen).unwrap();
        write!(stranger, "GET /slow?ms=60000 HTTP/1.1\r\nHost: shop.test\r\n\r\n").unwrap();
        let restore = site.start_bg(["restore"]).unwrap();
        let under_way = || status(&site)["stage"] == "restoring";
        until(SEEN, "restoring", || under_way().then_some(())).unwrap();
        let broken = if command == "resume" {
            fs::remove_file(site.balancer("lb2").bg_dir.join("live/current")).unwrap();
            "traffic goes to blue"
        } else {
            // One bucket of a hundred, where no question at the edges of a share would find it.
            fs::remove_file(tree(&site, "lb2").join("green/all/50")).unwrap();
            "changed by hand"
        };
        let (synced, note) = in_sync(&site, "lb2");
        assert_eq!(synced, false);
        assert!(note.contains(broken), "{note}");
        drop(stranger);
        let ran = restore.wait(SEEN).unwrap();
        println!("{ran}");
        ran.expect(5);
        assert_says(&ran, &["`lb2`", "public traffic", "no server of blue was touched"]);
        // By its files, or by what its workers answer: whichever question came first after it broke, or was being answered.
        let said = [broken, "they answered blue", "is gone"];
        assert!(said.iter().any(|said| ran.stderr.contains(said)), "{ran}");
        assert_eq!(site.app_pid("web1"), blue, "blue was not touched");
        assert_stage(&site, "restoring");

        run(&site, command).expect(0);
        assert_stage(&site, "balanced");
        let release = if command == "resume" { "v2" } else { "v1" };
        let answers = ["web1", "web2"].map(|host| site.ask(host, "/").unwrap().release().to_owned());
        assert_eq!(answers, [release, release]);
        assert_eq!([in_sync(&site, "lb1").0, in_sync(&site, "lb2").0], [true, true]);
    }
}

#[test]
fn a_tree_that_is_broken_before_blue_is_drained_is_brought_back_first() {
    let site = staged(two_balancers());
    run(&site, "flip").expect(0);
    fs::remove_dir_all(tree(&site, "lb1").join("green/mobile")).unwrap();
    assert_eq!(half(&site, "lb1", PHONE), "blue");
    run(&site, "restore").expect(0);
    assert_stage(&site, "balanced");
    assert_eq!(in_sync(&site, "lb1").0, true);
}
