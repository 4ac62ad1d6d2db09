//! A balancer that is to go back by itself and is rebooted meanwhile: `at` remembers it.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    time::Duration,
};

use bg_playground::{Fleet, until};

use crate::{
    desk::bg,
    hosts::{fleet, halves, in_sync, stage},
};

/// at knows whole minutes, looks once in one, and bg rounds up: two minutes after the command, and some for the rest.
const TWO_MINUTES_AND_MORE: Duration = Duration::from_secs(200);

/// Starts lb2's own atd, with a spool on lb2's disk.
fn start_atd(site: &Fleet) {
    let spool = site.dir().join("lb2/at");
    for part in ["jobs", "spool"] {
        fs::create_dir_all(spool.join(part)).unwrap();
    }
    for part in ["jobs", "spool"] {
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
         mount -t tmpfs tmpfs /run; mkdir -m 755 /run/sshd; setsid /usr/sbin/atd -f </dev/null >/dev/null 2>&1 &"
    );
    site.ssh("lb2", &line).unwrap().expect(0);
    let runs = || site.ssh("lb2", "cat /run/atd.pid").unwrap().stdout.trim().parse::<u32>().ok();
    until(Duration::from_secs(10), "atd", runs).unwrap();
}

#[test]
#[ignore = "for a soak: it takes over two minutes, for at knows whole ones only"]
fn a_balancer_that_is_rebooted_before_its_time_is_up_goes_back_all_the_same() {
    let Some(mut site) = fleet("a reboot while armed") else { return };
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
    start_atd(&site);
    let back = || (halves(&site) == ["blue", "blue"]).then_some(());
    until(TWO_MINUTES_AND_MORE, "both balancers' way back", back).unwrap();
    // Whoever comes next finds out, and what is left of it goes.
    bg(&site, "sync", 0);
    assert_eq!(stage(&site), ("staged".to_owned(), false));
    in_sync(&site);
    assert_eq!(jobs(&site), "0");
    load.stop().expect_none_failed();
}
