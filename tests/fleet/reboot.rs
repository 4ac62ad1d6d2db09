//! A balancer that is to go back by itself and is rebooted meanwhile: `at` remembers it.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    time::Duration,
};

use bg_playground::{Fleet, until};

use crate::{
    desk::{bg, status},
    hosts::{fleet, halves, in_sync, stage},
};

/// at knows whole minutes, looks once in one, and bg rounds up: two minutes after the command, and some for the rest.
const TWO_MINUTES_AND_MORE: Duration = Duration::from_secs(200);

/// lb2 has a spool of its own for at, on its own disk.
fn mount_spool(site: &Fleet) {
    let spool = site.dir().join("lb2/at");
    for part in ["jobs", "spool"] {
        fs::create_dir_all(spool.join(part)).unwrap();
        nix::unistd::chown(&spool.join(part), Some(1.into()), Some(1.into())).unwrap();
        fs::set_permissions(spool.join(part), Permissions::from_mode(0o1770)).unwrap();
    }
    // The package makes this one.
    let number = spool.join("jobs/.SEQ");
    if !number.exists() {
        fs::write(&number, "0\n").unwrap();
        nix::unistd::chown(&number, Some(1.into()), Some(1.into())).unwrap();
    }
    let dir = spool.display();
    // sshd wants its empty directory for every connection.
    let line = format!(
        "set -e; mount --bind {dir}/jobs /var/spool/cron/atjobs; mount --bind {dir}/spool /var/spool/cron/atspool; \
         mount -t tmpfs tmpfs /run; mkdir -m 755 /run/sshd"
    );
    site.ssh("lb2", &line).unwrap().expect(0);
}

fn start_atd(site: &Fleet) {
    site.ssh("lb2", "setsid /usr/sbin/atd -f </dev/null >/dev/null 2>&1 &").unwrap().expect(0);
    let runs = || site.ssh("lb2", "cat /run/atd.pid").unwrap().stdout.trim().parse::<u32>().ok();
    until(Duration::from_secs(10), "atd", runs).unwrap();
}

/// What status says of lb2's own way back.
fn keeps(site: &Fleet) -> String {
    status(site)["revert"]["balancers"][1]["state"].as_str().unwrap().to_owned()
}

#[test]
#[ignore = "for a soak: it takes over two minutes, for at knows whole ones only"]
fn a_balancer_that_is_rebooted_before_its_time_is_up_goes_back_all_the_same() {
    let Some(mut site) = fleet("a reboot while armed") else { return };
    mount_spool(&site);
    start_atd(&site);
    bg(&site, "deploy --release v2", 0);
    let load = site.load_on(&["lb1"], 100).unwrap();
    let ran = bg(&site, "flip --revert-after 1m", 0);
    println!("{ran}");
    let jobs = |site: &Fleet| site.ssh("lb2", "atq | wc -l").unwrap().stdout.trim().to_owned();
    assert_eq!(jobs(&site), "1");
    assert_eq!(halves(&site), ["green", "green"]);

    site.kill("lb2").unwrap();
    site.boot("lb2").unwrap();
    assert_eq!(halves(&site), ["green", "green"], "its tree says what it said");
    assert_eq!(
        site.ssh("lb2", "ls /proc/*/cmdline | xargs grep -l run-[0-9] || :").unwrap().stdout,
        "",
        "no timer lives"
    );
    mount_spool(&site);
    assert_eq!((jobs(&site).as_str(), keeps(&site).as_str()), ("1", "timer gone"), "nobody looks at the job");
    start_atd(&site);
    assert_eq!(keeps(&site), "armed");
    let back = || (halves(&site) == ["blue", "blue"]).then_some(());
    until(TWO_MINUTES_AND_MORE, "both balancers' way back", back).unwrap();
    // Whoever comes next finds out, and what is left of it goes.
    bg(&site, "sync", 0);
    assert_eq!(stage(&site), ("staged".to_owned(), false));
    in_sync(&site);
    assert_eq!(jobs(&site), "0");
    load.stop().expect_none_failed();
}
