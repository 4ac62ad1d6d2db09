use bluegreen_core::rollout::Stage;

use super::*;
use crate::cli::{
    measure::columns,
    status::{
        recent::Change,
        report::Releases,
        seen::{BalancerSeen, PlaceSeen, PoolSeen},
    },
};

fn place(host: String, note: Option<&str>) -> PlaceSeen {
    let is_known = note.is_none();
    PlaceSeen {
        host,
        release: is_known.then(|| "v2".to_owned()),
        healthy: is_known.then_some(true),
        note: note.map(ToOwned::to_owned),
    }
}

/// A site in its canary with `count` servers, of which web2 hangs.
fn report(count: usize) -> Report {
    let late = "`web2.production.example.net` did not answer within 2 s";
    let of_half = |first: usize| {
        let numbers = (first..=count).step_by(2);
        let one = |n: usize| place(format!("web{n}.production.example.net"), (n == 2).then_some(late));
        numbers.map(one).collect()
    };
    let balancer = |host: &str| BalancerSeen {
        host: host.to_owned(),
        reachable: true,
        generation: Some(17),
        in_sync: Some(true),
        nginx_answers: Some(true),
        note: None,
        traffic: None,
    };
    let change = |minute: usize| Change {
        at: format!("2026-01-01T12:{minute:02}:00Z"),
        by: "anna@desk".to_owned(),
        what: "canary: mobile 10% on green, everyone else on blue".to_owned(),
    };
    Report {
        site: "shop".to_owned(),
        inventory: "production".to_owned(),
        stage: Some(Stage::Canary),
        rollout: Some("r12".to_owned()),
        releases: Releases { blue: Some("v2".to_owned()), green: Some("v2".to_owned()) },
        traffic: None,
        pools: vec![("web".to_owned(), PoolSeen { blue: of_half(1), green: of_half(2) })],
        balancers: vec![balancer("lb1"), balancer("lb2")],
        lock: None,
        frozen: None,
        interrupted: None,
        next: ["deploy", "canary", "canary off", "flip", "flip --back", "abort"].map(str::to_owned).to_vec(),
        revert: None,
        under_way: None,
        journal: None,
        moved: None,
        inventory_differs: None,
        recent: (0..20).map(change).collect(),
        blind: None,
        then: None,
        inventory_then: None,
        shares: vec![("mobile".to_owned(), 10.0), ("all".to_owned(), 0.0)],
        traffic_words: Some("mobile 10% on green, everyone else on blue".to_owned()),
    }
}

fn screen(width: usize) -> Screen {
    Screen { width, ..Screen::bare("bg", false) }
}

#[test]
fn all_of_a_small_site_is_said() {
    let text = render(&report(2), screen(80), &TimeZone::UTC);
    let wanted = "\
shop (production) is canary, rollout r12

  balanced ── isolated ── staged ── canary ── flipped ── restoring ── balanced
                                    ▲ you are here

traffic   mobile 10% on green, everyone else on blue
  mobile  ██░░░░░░░░░░░░░░░░░░  10% green
  all     ░░░░░░░░░░░░░░░░░░░░  0% green
releases  blue v2 · green v2

pool  half   host                         release  health
web   blue   web1.production.example.net  v2       healthy
web   green  web2.production.example.net  unknown  unknown
    `web2.production.example.net` did not answer within 2 s

balancer  generation  in sync
lb1       17          yes
lb2       17          yes

next
  bg deploy         bring a release onto green again
  bg canary all=5%  let another share try green
";
    assert!(text.starts_with(wanted), "{text}");
    assert_eq!(text.lines().filter(|line| line.contains("  anna ")).count(), 12, "{text}");
    let wide = render(&report(2), screen(200), &TimeZone::UTC);
    assert!(wide.contains("unknown  unknown  `web2.production.example.net` did not answer within 2 s\n"), "{wide}");
}

#[test]
fn sixty_hosts_fit_a_small_terminal_and_what_is_wrong_is_named() {
    for (width, height) in [(80, 24), (200, 50), (40, 24), (80, 70), (20, 5), (80, 1)] {
        let lines = render_within(&report(60), screen(width), &TimeZone::UTC, height);
        assert!(
            lines.len() <= height && lines.iter().all(|line| columns(line) < width),
            "{width}×{height}: {lines:#?}"
        );
        let is_named = lines.iter().any(|line| line.contains("web2."));
        assert_eq!(is_named, height > 5, "{width}×{height}: {lines:#?}");
    }
    let lines = render_within(&report(60), screen(80), &TimeZone::UTC, 24);
    assert!(
        lines.iter().any(|line| line == "web   blue   30 hosts                     v2       healthy"),
        "{lines:#?}"
    );
    assert!(lines.iter().any(|line| line.contains("`bg flip --back` · `bg abort`")), "{lines:#?}");
    let narrow = render_within(&report(60), screen(40), &TimeZone::UTC, 24);
    assert!(narrow.iter().any(|line| line == "web   green  29 hosts  v2       healthy"), "{narrow:#?}");
    assert!(narrow.iter().any(|line| line == "web   green  web2.pr…  unknown  unknown"), "{narrow:#?}");
    let coloured = Screen { color: true, ..screen(40) };
    let cut = render_within(&report(60), coloured, &TimeZone::UTC, 24);
    assert!(cut.iter().all(|line| line.matches("\x1b[").count() % 2 == 0), "every style ends: {cut:#?}");
}

#[test]
fn where_many_hosts_hang_what_leads_on_stays_in_sight() {
    let mut report = report(60);
    for (number, seen) in report.pools[0].1.green.iter_mut().enumerate().take(20) {
        *seen = place(
            format!("web{}", 2 + 2 * number),
            Some(&format!("`web{}` did not answer within 2 s", 2 + 2 * number)),
        );
    }
    let silent = Some("`lb2` did not answer within 2 s".to_owned());
    report.balancers[1] =
        BalancerSeen { reachable: false, generation: None, in_sync: None, note: silent, ..report.balancers[1].clone() };
    let lines = render_within(&report, screen(80), &TimeZone::UTC, 23);
    let at =
        |text: &str| lines.iter().position(|line| line.contains(text)).unwrap_or_else(|| panic!("{text}: {lines:#?}"));
    let hang = at("web   green  20 hosts");
    assert!(lines[hang + 1].starts_with("    `web2` did not answer within 2 s; also web4, web6,"), "{lines:#?}");
    assert!(at("lb2       unknown     NO ANSWER") < at("next: `bg deploy`"), "{lines:#?}");
    let all = render_within(&report, screen(80), &TimeZone::UTC, 70);
    assert!(all.iter().any(|line| line.contains("`web40` did not answer")), "where there is room, each: {all:#?}");
}

#[test]
fn with_one_host_gone_a_small_terminal_says_why_and_what_leads_on() {
    let mut report = report(4);
    report.pools[0].1.green[0] = report.pools[0].1.green[1].clone();
    let refused = "`api3` is unreachable: ssh: connect to host 10.1.12.27 port 2222: Connection refused";
    let api = |number: usize| place(format!("api{number}"), (number == 3).then_some(refused));
    let api = PoolSeen { blue: vec![api(1), api(3)], green: vec![api(2), api(4)] };
    report.pools.push(("api".to_owned(), api));
    let lines = render_within(&report, screen(80), &TimeZone::UTC, 21);
    assert!(lines.iter().any(|line| line == "    `api3` is unreachable: Connection refused"), "{lines:#?}");
    assert!(lines.iter().any(|line| line.starts_with("next: `bg deploy`")), "{lines:#?}");
    assert!(lines.len() <= 21 && !lines.iter().any(|line| line.contains("more lines")), "{lines:#?}");
    let wide = render_within(&report, screen(200), &TimeZone::UTC, 60);
    assert!(wide.iter().any(|line| line.contains("port 2222: Connection refused")), "{wide:#?}");
}

#[test]
fn a_dead_nginx_is_named_in_full_beside_a_tree_in_sync() {
    let mut report = report(60);
    let note = "nginx does not answer for this site on its probe port 127.0.0.1:8474: connection refused or closed \
                without an answer. Where it is dead or hangs, clients of this balancer get nothing: `bg check --hosts` \
                says more";
    report.balancers[1].note = Some(note.to_owned());
    report.balancers[1].nginx_answers = Some(false);
    let all = render_on(&report, screen(80), &TimeZone::UTC, 30);
    let lines: Vec<&str> = all.lines().collect();
    let row = lines.iter().position(|line| *line == "lb2       17          yes").unwrap();
    let said: Vec<&str> = lines[row + 1..].iter().map_while(|line| line.strip_prefix("    ")).collect();
    assert_eq!(said.join(" "), note, "{all}");
    assert!(lines.len() <= 30 && lines.iter().all(|line| columns(line) <= 80), "{all}");
    let watched = render_within(&report, screen(80), &TimeZone::UTC, 21);
    let row = watched.iter().position(|line| line == "lb2       17          yes").unwrap();
    let begin = "    nginx does not answer for this site on its probe port 127.0.0.1:8474";
    assert!(watched[row + 1].starts_with(begin), "{watched:#?}");
    report.balancers[0] = BalancerSeen { host: "lb1".to_owned(), ..report.balancers[1].clone() };
    let both = render_within(&report, screen(80), &TimeZone::UTC, 21);
    assert!(both.iter().any(|line| line.contains("nginx does not answer")) && both.len() <= 21, "{both:#?}");
}

#[test]
fn at_once_it_fits_the_terminal_where_what_is_wrong_leaves_room_for_it() {
    let on = |report: &Report, height: usize| {
        let text = render_on(report, screen(80), &TimeZone::UTC, height);
        text.lines().map(ToOwned::to_owned).collect::<Vec<_>>()
    };
    let changes = |lines: &[String]| lines.iter().filter(|line| line.contains("  anna ")).count();
    let large = on(&report(4), 60);
    assert_eq!((large.join("\n"), changes(&large)), (render(&report(4), screen(80), &TimeZone::UTC), 12));
    for count in [4, 60] {
        let small = on(&report(count), 30);
        assert!(small.len() <= 30 && changes(&small) >= 3, "{small:#?}");
        assert!(small.iter().any(|line| line.contains("▲ you are here")), "{small:#?}");
        assert!(small.iter().any(|line| line.contains("`web2.production.example.net` did not answer")), "{small:#?}");
    }
    let counted = on(&report(60), 40);
    assert!(counted.iter().any(|line| line.contains("30 hosts")), "{counted:#?}");
    assert_eq!(counted.last().unwrap(), "`bg status -v` shows every host");
    // Where so much is wrong that it scrolls, nothing of it is left out, and what leads on is last.
    let mut wrong = report(40);
    for place in &mut wrong.pools[0].1.green {
        *place = super::tests::place(
            place.host.clone(),
            Some(&format!("`{}` is unreachable: {}", place.host, "why ".repeat(20))),
        );
    }
    let all = on(&wrong, 21);
    assert_eq!(all.iter().filter(|line| line.contains("is unreachable")).count(), 20, "{all:#?}");
    assert_eq!(all.iter().map(|line| line.matches("why").count()).sum::<usize>(), 400, "{all:#?}");
    assert!(all.last().unwrap().starts_with("  bg abort"), "{all:#?}");
}

#[test]
fn one_change_is_not_told_as_several() {
    assert_eq!([0, 1, 2].map(and_before), ["", " (and 1 change before)", " (and 2 changes before)"]);
}

/// The site of the tutorial: two pools of four servers, all of them well.
fn tutorial(stage: Stage) -> Report {
    let well = |names: [&str; 2]| names.map(|name| place(name.to_owned(), None)).to_vec();
    let pool = |blue, green| PoolSeen { blue: well(blue), green: well(green) };
    let pools = vec![
        ("web".to_owned(), pool(["web1", "web3"], ["web2", "web4"])),
        ("api".to_owned(), pool(["api1", "api3"], ["api2", "api4"])),
    ];
    let report = Report { stage: Some(stage), pools, ..report(2) };
    match stage {
        Stage::Canary => report,
        _ => Report {
            shares: Vec::new(),
            traffic_words: Some("all traffic on blue".to_owned()),
            next: ["deploy", "canary", "flip", "abort"].map(str::to_owned).to_vec(),
            ..report
        },
    }
}

#[test]
fn where_hosts_are_counted_it_is_said_what_shows_them_all() {
    for stage in [Stage::Canary, Stage::Staged] {
        for height in 21..=40 {
            let text = render_on(&tutorial(stage), screen(80), &TimeZone::UTC, height);
            let is_folded = text.contains("2 hosts");
            assert_eq!(text.ends_with("`bg status -v` shows every host"), is_folded, "{stage} {height}: {text}");
            assert!(is_folded || height > 30, "{stage} {height}: {text}");
            // A terminal of 24 rows has 21 of them without what was typed and two for the prompt.
            assert!(text.lines().count() <= height + usize::from(height == 21), "{stage} {height}: {text}");
        }
    }
    // Where there is one of each nothing is folded.
    let mut one = tutorial(Stage::Canary);
    one.pools.truncate(1);
    one.balancers.truncate(1);
    let pool = &mut one.pools[0].1;
    pool.blue.truncate(1);
    pool.green.truncate(1);
    let text = render_on(&one, screen(80), &TimeZone::UTC, 19);
    assert!(!text.contains("shows every host") && text.lines().count() == 19, "{text}");
}
