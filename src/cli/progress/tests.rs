//! What is drawn, on terminals of several sizes, and what stays there.

use std::time::{Duration, Instant};

use bg_playground::Pane;

use super::{
    draw::{bar, draw},
    live::frame,
    record::record,
    seconds,
    tree::{Kept, Tree, bytes, bytes_of},
};
use crate::{
    cli::{
        measure::Line,
        terminal::{ASCII, Size, UNICODE},
    },
    engine::{Doing, Progress, Report},
};

const USUAL: Size = Size { width: 80, height: 24 };
const LARGE: Size = Size { width: 200, height: 50 };
const NARROW: Size = Size { width: 40, height: 12 };

fn began() -> Report {
    Report::StepStarted { number: 3, of: 8, step: "drain green".to_owned() }
}

fn says(host: &str, text: &str) -> Report {
    Report::Progress(Progress::of(host, Doing::Says(text.to_owned())).part("web"))
}

fn ends(host: &str) -> Report {
    Report::Progress(Progress::of(host, Doing::Done("is through".to_owned())).part("web"))
}

fn done(notes: &[&str]) -> Report {
    let notes = notes.iter().map(|note| (*note).to_owned()).collect();
    Report::StepDone { step: "drain green".to_owned(), elapsed: Duration::from_millis(2_140), notes }
}

fn tree(now: Instant, reports: impl IntoIterator<Item = Report>) -> (Tree, Vec<Kept>) {
    let mut tree = Tree::new(false, now);
    let kept = reports.into_iter().flat_map(|report| tree.apply(report, now)).collect();
    (tree, kept)
}

/// What is drawn `after` so many milliseconds.
fn drawn(reports: impl IntoIterator<Item = Report>, size: Size, after: u64) -> Vec<String> {
    let now = Instant::now();
    let lines = draw(&tree(now, reports).0, size, now + Duration::from_millis(after), &UNICODE);
    assert!(lines.iter().all(|line| line.columns() < size.width.max(2)), "{lines:#?}");
    assert!(lines.len() < size.height.max(2), "{lines:#?}");
    lines.iter().map(Line::text).collect()
}

fn kept(reports: impl IntoIterator<Item = Report>, width: usize) -> Vec<String> {
    let lines =
        tree(Instant::now(), reports).1.iter().flat_map(|kept| record(kept, width, &UNICODE)).collect::<Vec<_>>();
    assert!(lines.iter().all(|line| line.columns() <= width), "{lines:#?}");
    lines.iter().map(Line::text).collect()
}

fn hosts(count: usize) -> Vec<String> {
    (1..=count).map(|number| format!("web{number}")).collect()
}

#[test]
fn a_step_is_drawn_with_its_hosts_and_until_when_it_waits() {
    let until = Instant::now() + Duration::from_secs(30);
    let whole = Doing::Says("waiting until nobody uses green any more".to_owned());
    let reports = [
        began(),
        Report::StepHosts(hosts(1)),
        Report::Progress(Progress::whole(whole).until(until)),
        Report::Progress(Progress::of("lb1", Doing::Says("10 or more requests in flight to green".to_owned()))),
        Report::Progress(Progress::of("lb2", Doing::Done("nothing in flight".to_owned()))),
        Report::Progress(Progress::of("web2", Doing::Done(String::new()))),
    ];
    let wanted = [
        "⠹ [3/8] drain green  12 s  at most 18 s more",
        "    waiting until nobody uses green any more",
        "    lb1  10 or more requests in flight to green",
        "  ✓ lb2  nothing in flight",
        "    … and 1 more host",
    ];
    let drawn = drawn(reports, USUAL, 12_250);
    assert_eq!(drawn, wanted);
}

#[test]
fn a_bar_grows_with_what_was_sent_and_health_is_counted() {
    let sends = Doing::Sends { done: 30 << 20, of: 50 << 20 };
    let (web, api) = (
        Doing::Checks { done: 2, of: 3, said: None },
        Doing::Checks { done: 0, of: 3, said: Some("GET /healthz answered 503".to_owned()) },
    );
    let reports = [
        began(),
        Report::Progress(Progress::of("web1", sends).part("web")),
        Report::Progress(Progress::of("web2", web).part("web")),
        Report::Progress(Progress::of("web2", api).part("api")),
    ];
    let wide = drawn(reports.clone(), USUAL, 0);
    assert_eq!(wide[1], "    web1  ████████████░░░░░░░░   60%  30.0 of 50.0 MiB");
    assert_eq!(wide[2], "    web2  web: healthy 2/3 · api: healthy 0/3 · GET /healthz answered 503");
    let narrow = drawn(reports, NARROW, 0);
    assert_eq!(narrow[1], "    web1   60%  30.0 of 50.0 MiB");
    assert_eq!(narrow[2], "    web2  web: healthy 2/3 · api: heal…");
}

#[test]
fn the_longest_bound_is_said_once_and_a_shorter_one_beside_its_host() {
    let now = Instant::now();
    let starts = |host: &str, seconds| {
        let doing = Doing::Says("starting v2".to_owned());
        Report::Progress(Progress::of(host, doing).until(now + Duration::from_secs(seconds)))
    };
    let (tree, _) = tree(now, [began(), starts("web1", 60), starts("web2", 59), starts("web3", 10)]);
    let lines: Vec<String> = draw(&tree, USUAL, now, &UNICODE).iter().map(Line::text).collect();
    let wanted = [
        "⠋ [3/8] drain green  0.0 s  at most 60 s more",
        "    web1  starting v2",
        "    web2  starting v2",
        "    web3  starting v2  at most 10 s more",
    ];
    assert_eq!(lines, wanted);
}

#[test]
fn of_sixty_hosts_those_that_are_not_done_come_first_and_the_rest_is_counted() {
    let mut reports = vec![began(), Report::StepHosts(hosts(60))];
    reports.extend((1..=40).map(|number| says(&format!("web{number}"), "sending")));
    reports.extend((1..=30).map(|number| ends(&format!("web{number}"))));
    let failed = Progress::of("web7", Doing::Failed("no space left".to_owned())).part("web");
    reports.push(Report::Progress(failed));
    let usual = drawn(reports.clone(), USUAL, 0);
    assert_eq!(usual.len(), 22);
    assert_eq!(usual[1], "  ✗ web7   no space left");
    assert_eq!(usual[2], "    web31  sending");
    assert_eq!(usual[21], "    … and 40 more hosts, 20 of them done");
    let large = drawn(reports.clone(), LARGE, 0);
    assert_eq!(large.len(), 42, "all forty that say something");
    assert_eq!(large[7], "  ✗ web7   no space left", "where there is room the order is the inventory's");
    assert_eq!(large[41], "    … and 20 more hosts");
    assert_eq!(drawn(reports.clone(), Size { width: 80, height: 3 }, 0), ["⠋ [3/8] drain green  0.0 s"]);
    assert_eq!(drawn(reports, Size { width: 1, height: 1 }, 0).len(), 1);
}

#[test]
fn long_and_wide_names_are_cut_and_stay_aligned() {
    let long = "web-1.production.eu-central-1.internal.example.net";
    let reports = [began(), says(long, "sending"), says("服务器一号", "sending")];
    let drawn_at = |size| drawn(reports.clone(), size, 0);
    assert_eq!(drawn_at(USUAL)[1], "    web-1.production.eu-centr…  sending");
    assert_eq!(drawn_at(USUAL)[2], "    服务器一号                  sending");
    assert_eq!(drawn_at(NARROW)[1], "    web-1.produc…  sending");
    assert_eq!(drawn_at(LARGE)[1], format!("    {long}  sending"));
    let step =
        Report::StepStarted { number: 1, of: 2, step: "switch: mobile 10% to green, all the rest to blue".to_owned() };
    assert_eq!(drawn([step], NARROW, 75_000)[0], "⠋ [1/2] switch: mobile 10% to gr…  75 s");
}

#[test]
fn what_is_over_at_once_does_not_flash() {
    assert!(drawn([], USUAL, 100).is_empty());
    assert_eq!(drawn([], USUAL, 2_000), ["⠋ getting ready  2.0 s"]);
    assert!(drawn([began(), done(&[])], USUAL, 5_000).is_empty());
}

#[test]
fn a_host_that_does_not_answer_is_named_until_it_does() {
    let host = |doing| Report::Progress(Progress::of("web3", doing));
    let waits = host(Doing::Says("has not answered yet".to_owned()));
    let answers = host(Doing::Done(String::new()));
    let wanted = ["⠋ getting ready  5.0 s", "    web3  has not answered yet"];
    assert_eq!(drawn([waits.clone()], USUAL, 5_000), wanted);
    let asked = [began(), waits, answers];
    let named = |host: &str| Report::StepHosts(vec![host.to_owned()]);
    let then = asked.clone().into_iter().chain([named("web1"), done(&[])]);
    assert_eq!(kept(then, 79), ["✓ [3/8] drain green  2.1 s  1 host"], "the step is not about it");
    let then = asked.into_iter().chain([named("web3"), says("web3", "sending")]);
    assert_eq!(drawn(then, USUAL, 0)[1], "    web3  sending");
}

#[test]
fn a_step_that_is_over_is_one_line_with_what_is_worth_keeping() {
    let hosts = || Report::StepHosts(hosts(2));
    assert_eq!(kept([began(), hosts(), done(&[])], 79), ["✓ [3/8] drain green  2.1 s  2 hosts"]);
    let one = [began(), hosts(), done(&["1 request was cut"])];
    assert_eq!(kept(one.clone(), 79), ["✓ [3/8] drain green  2.1 s  2 hosts  1 request was cut"]);
    assert_eq!(kept(one, 39), ["✓ [3/8] drain green  2.1 s  2 hosts", "      1 request was cut"]);
    let note = Report::Note { host: Some("lb2".to_owned()), text: "could not be prepared: it is gone".to_owned() };
    let several = [began(), note, done(&["a", "b"])];
    let wanted = ["✓ [3/8] drain green  2.1 s  1 host  lb2: could not be prepared: it is gone", "      a", "      b"];
    assert_eq!(kept(several, 79), wanted);
    let long = Report::StepStarted {
        number: 10,
        of: 10,
        step: "switch: mobile 10% to green, all the rest to blue".to_owned(),
    };
    let wanted = ["✓ [10/10] switch: mobile 10% to green,", "          all the rest to blue  2.1 s"];
    assert_eq!(kept([long, done(&[])], 39), wanted);
}

#[test]
fn a_step_that_failed_keeps_what_was_said_of_the_hosts_that_did_not_get_through() {
    let failed = Report::StepFailed { step: "drain green".to_owned(), elapsed: Duration::from_secs(30) };
    let said = Some("GET /healthz answered 503".to_owned());
    let checks = Report::Progress(Progress::of("web1", Doing::Checks { done: 0, of: 3, said }));
    let gave_up = Doing::Failed("`web1` did not become healthy within 15s: GET /healthz answered 503".to_owned());
    let full = Report::Progress(Progress::of("web2", Doing::Failed("`web2`, `/srv`: no space left".to_owned())));
    let short = kept([began(), checks, Report::Progress(Progress::of("web1", gave_up)), full, failed.clone()], 79);
    assert_eq!(
        short[1..],
        ["      web1  not healthy in time: GET /healthz answered 503", "      web2  `/srv`: no space left"]
    );
    let twelve = Report::Progress(Progress::of("web12", Doing::Failed("no space left".to_owned())));
    let two = kept([began(), says("web1", "sending"), twelve, failed.clone()], 79);
    assert_eq!(two[1..], ["      web1   sending", "      web12  no space left"], "names are as wide as the widest");
    let mut reports = vec![began(), Report::StepHosts(hosts(12)), says("web1", "sending"), ends("web1")];
    reports.extend((2..=11).map(|number| says(&format!("web{number}"), "it does not answer\nat all")));
    reports.push(failed);
    let kept = kept(reports, 79);
    assert_eq!(kept[0], "✗ [3/8] drain green  30 s  12 hosts");
    assert_eq!(kept[1], "      web2  it does not answer");
    assert_eq!(kept[9], "      … and 2 more hosts");
    assert_eq!(kept.len(), 10);
}

#[test]
fn the_lock_is_waited_for_and_every_balancer_put_back() {
    let waiting = Report::Waiting("waiting for the lock, up to 1h: `flip` by anna@desk has it".to_owned());
    let turn = Report::Turn("it is the turn of `deploy`, after 12 s".to_owned());
    let wanted = ["⠋ waiting for the lock  3.0 s", "    waiting for the lock, up to 1h: `flip` by anna@desk has it"];
    assert_eq!(drawn([waiting.clone()], USUAL, 3_000), wanted);
    assert_eq!(kept([waiting, turn], 79), ["it is the turn of `deploy`, after 12 s"]);
    let back = Report::PutBack { is_whole: true, elapsed: Duration::from_millis(300) };
    assert_eq!(drawn([Report::PuttingBack], USUAL, 0)[0], "⠋ putting every balancer back  0.0 s");
    assert_eq!(kept([Report::PuttingBack, back], 79), ["✓ put every balancer back  0.3 s"]);
}

#[test]
fn everything_is_said_when_it_is_asked_for() {
    let now = Instant::now();
    let mut tree = Tree::new(true, now);
    let line = Progress::of("web2", Doing::Done("runs v2".to_owned())).line("runs v2");
    let kept = [began(), Report::Progress(line), done(&[])].into_iter().flat_map(|report| tree.apply(report, now));
    let lines: Vec<Line> = kept.flat_map(|kept| record(&kept, 79, &ASCII)).collect();
    assert_eq!(lines.iter().map(Line::text).collect::<Vec<_>>(), ["+ [3/8] drain green  2.1 s  1 host  web2: runs v2"]);
}

/// Draws one after the other on a pane, which may get another size in between.
struct Screen {
    pane: Pane,
    size: Size,
    last: Vec<Line>,
    was: usize,
}

impl Screen {
    fn new(size: Size) -> Screen {
        let mut pane = Pane::new(size.width, size.height);
        pane.write("$ bg deploy\r\n");
        Screen { pane, size, last: Vec::new(), was: 0 }
    }

    fn resize(&mut self, size: Size) {
        self.pane.resize(size.width, size.height);
        self.size = size;
    }

    fn draw(&mut self, tree: &Tree, kept: &[Kept]) -> Vec<String> {
        let next = draw(tree, self.size, tree.since + Duration::from_secs(5), &UNICODE);
        let kept: Vec<Line> = kept.iter().flat_map(|kept| record(kept, self.size.width - 1, &UNICODE)).collect();
        self.pane.write(&frame(&self.last, self.was, &kept, &next, self.size.width, true));
        (self.last, self.was) = (next, self.size.width);
        self.pane.rows()
    }
}

#[test]
fn drawings_follow_each_other_in_place_and_the_record_stays_above() {
    let now = Instant::now();
    let mut tree = Tree::new(false, now);
    let mut screen = Screen::new(USUAL);
    tree.apply(began(), now);
    let rows = screen.draw(&tree, &[]);
    assert_eq!(rows, ["$ bg deploy", "⠋ [3/8] drain green  5.0 s"]);
    tree.apply(says("web1", "sending"), now);
    assert_eq!(screen.draw(&tree, &[]), ["$ bg deploy", "⠋ [3/8] drain green  5.0 s", "    web1  sending"]);
    assert_eq!(frame(&screen.last, 80, &[], &screen.last, 80, true), "", "nothing changed, nothing is written");
    let kept = tree.apply(done(&[]), now);
    assert_eq!(screen.draw(&tree, &kept), ["$ bg deploy", "✓ [3/8] drain green  2.1 s  1 host"]);
    assert_eq!(screen.pane.cursor(), (2, 0), "what follows begins a line");
}

#[test]
fn nothing_that_is_to_stay_is_drawn_over_whatever_is_typed_below() {
    // Enter, lines, a word that Ctrl-D ends, and more than a row of it.
    let typed = ["", "\r\n", "ls\r\n", "zz", &"long".repeat(30), "\r\n\r\n\r\n"];
    for (above, typed) in (0..=USUAL.height).flat_map(|above| typed.map(|typed| (above, typed))) {
        let now = Instant::now();
        let (mut tree, mut screen) = (Tree::new(false, now), Screen::new(USUAL));
        screen.pane.write(&"earlier\r\n".repeat(above));
        tree.apply(began(), now);
        tree.apply(says("web1", "sending"), now);
        let kept = tree.apply(done(&[]), now);
        screen.draw(&tree, &kept);
        tree.apply(began(), now);
        tree.apply(says("web1", "sending"), now);
        let before = screen.draw(&tree, &[]);
        screen.pane.write(typed);
        // What the terminal scrolled away for it is in its history.
        let shown = screen.pane.rows();
        tree.apply(says("web1", "sent"), now);
        let after = screen.draw(&tree, &[]);
        let stays = |rows: &[String]| rows.iter().filter(|row| *row == "earlier" || row.contains("✓")).count();
        let scrolled = shown.len().max(after.len()) == USUAL.height;
        assert!(stays(&after) == stays(&before) || scrolled, "{typed:?} {before:#?} {after:#?}");
        assert!(after.iter().any(|row| row == "✓ [3/8] drain green  2.1 s  1 host"), "{typed:?} {after:#?}");
        // As it is done each second.
        screen.was = 0;
        let after = screen.draw(&tree, &[]);
        assert_eq!(after[after.len() - 2..], ["⠋ [3/8] drain green  5.0 s", "    web1  sent"], "{typed:?}");
    }
}

#[test]
fn a_terminal_that_is_resized_between_two_drawings_shows_no_garbage() {
    let sizes = [USUAL, LARGE, NARROW, Size { width: 20, height: 30 }, Size { width: 120, height: 30 }];
    for (before, after) in sizes.into_iter().flat_map(|before| sizes.map(|after| (before, after))) {
        let now = Instant::now();
        let mut screen = Screen::new(before);
        let (mut tree, _) = tree(now, [began()]);
        for number in 1..=2 {
            let text = "1 connection from 10.0.0.9, which is no balancer, and one more that is none either";
            tree.apply(says(&format!("web{number}"), text), now);
        }
        screen.draw(&tree, &[]);
        screen.resize(after);
        let rows = screen.draw(&tree, &[]);
        let mut fresh = Screen::new(after);
        assert_eq!(rows, fresh.draw(&tree, &[]), "{before:?} {after:?}");
    }
}

#[test]
fn sixty_hosts_scroll_nothing_that_is_drawn_out_of_a_small_terminal() {
    let now = Instant::now();
    let mut screen = Screen::new(USUAL);
    let (mut tree, _) = tree(now, [began(), Report::StepHosts(hosts(60))]);
    for number in 1..=60 {
        tree.apply(says(&format!("web{number}"), "sending"), now);
        screen.draw(&tree, &[]);
    }
    let kept = tree.apply(done(&[]), now);
    assert_eq!(screen.draw(&tree, &kept), ["$ bg deploy", "✓ [3/8] drain green  2.1 s  60 hosts"]);
}

#[test]
fn sizes_times_and_bars_are_honest() {
    assert_eq!(seconds(Duration::from_secs(200)), "3 min 20 s");
    assert_eq!(seconds(Duration::from_millis(12_900)), "12 s");
    assert_eq!([bytes(1), bytes(3 << 20), bytes(5 << 30)], ["1 KiB", "3.0 MiB", "5.0 GiB"]);
    assert_eq!(bytes_of(512 << 10, 50 << 20), "0.5 of 50.0 MiB");
    let full = |done| bar(done, 1000, 8, &UNICODE).0.chars().count();
    assert_eq!([full(0), full(1), full(500), full(999), full(1000)], [0, 1, 4, 7, 8]);
    assert_eq!(bar(0, 0, 2, &ASCII), ("##".to_owned(), String::new()));
}
