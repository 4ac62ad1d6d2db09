use super::*;

#[test]
fn nothing_is_explained_where_nothing_is_open() {
    assert_eq!(explain(&Site::new().state, DIGEST, &segments(), &Seen::default()), None);
    assert!(found(&Site::new().state, &only([silent("lb1")])).is_empty());
}

#[test]
fn who_when_and_where() {
    let mut site = Site::staged();
    site.stopped_at(&Command::Flip { revert_after_ms: None }, 1);
    let told = site.explain(&Seen::default());
    assert_eq!((told.number, told.of, told.is_begun), (2, 2, true));
    assert_eq!((told.by.user.as_str(), &told.taken_up, &told.why), ("anna", &None, &None));
    assert_eq!(told.since, site.state.open.as_ref().expect("open").since);
    assert_eq!(told.undo_failed, None);
    assert!(told.to_do.is_empty());
}

#[test]
fn another_process_that_took_it_up_is_named() {
    let mut site = Site::new();
    site.stopped_at(&deploy(2), 3);
    site.user = "ben";
    site.start(3);
    let told = site.explain(&Seen::default());
    assert_eq!(told.by.user, "anna");
    assert_eq!(told.taken_up.map(|(by, _)| by.user).as_deref(), Some("ben"));
}

#[test]
fn stopped_between_two_steps_the_next_is_named() {
    let mut site = Site::new();
    site.stopped_at(&deploy(2), 3);
    site.append(site.state.finish(3, Vec::new()));
    let told = site.explain(&Seen::default());
    assert_eq!((told.number, told.is_begun), (5, false));
    assert!(matches!(told.resume, Way::Steps(4, _)), "{:?}", told.resume);
}

#[test]
fn resume_of_a_switch_prepares_it_anew_and_abort_is_a_plan_of_its_own() {
    let mut site = Site::staged();
    site.stopped_at(&Command::Flip { revert_after_ms: None }, 1);
    let told = site.explain(&Seen::default());
    assert_eq!(told.resume.lines(), ["prepare: all traffic on green", "switch: all traffic on green"]);
    assert_eq!(
        told.resume.steps(),
        "  1. prepare: all traffic on green\n  2. switch: all traffic on green  → flipped\n"
    );
    let abort = told.abort.lines();
    assert_eq!(abort.first().map(String::as_str), Some("prepare: all traffic on blue"));
    assert_eq!(abort.last().map(String::as_str), Some("switch: both halves"));
    assert_eq!(told.also, [Verb::FlipBack]);
}

#[test]
fn resume_of_an_installation_goes_on_there_unless_a_balancer_lost_its_tree() {
    let mut site = Site::new();
    site.stopped_at(&deploy(2), 4);
    let n = site.state.confirmed.expect("confirmed");
    let resume = |seen: &Seen| match site.explain(seen).resume {
        Way::Steps(first, _) => first,
        other => panic!("{other:?}"),
    };
    let whole = || balancer("lb1", n, &blue(), &[n]);
    assert_eq!(resume(&only([whole()])), 4);
    assert_eq!(resume(&only([whole(), silent("lb2")])), 4, "the step names who cannot be asked");
    assert_eq!(resume(&only([whole(), altered(whole(), |answer| answer.tree = TreeSeen::Nothing)])), 0);
    assert_eq!(resume(&only([balancer("lb1", n, &Traffic::Both, &[n])])), 0);
}

#[test]
fn resume_finishes_an_undoing() {
    let mut site = Site::staged();
    site.stopped_at(&Command::Flip { revert_after_ms: None }, 1);
    site.fail(1, true);
    let told = site.explain(&Seen::default());
    assert_eq!(told.resume, Way::PutBack(blue()));
    assert_eq!(told.resume.lines(), ["put every balancer back: all traffic on blue"]);
    assert_eq!(told.why.as_deref(), Some("`lb2` is unreachable"));
    assert_eq!(told.undo_failed, None, "it was not tried yet, or not to its end");
}

#[test]
fn undo_failed_names_the_hosts_and_what_a_person_does() {
    let mut site = Site::staged();
    site.stopped_at(&Command::Flip { revert_after_ms: None }, 1);
    site.fail(1, true);
    let hosts = vec![("lb2".to_owned(), "it is unreachable: no route".to_owned())];
    site.append(vec![Event::UndoFailed { step: 1, hosts: hosts.clone() }]);
    let back = site.state.generation;
    let lb1 = balancer("lb1", back, &blue(), &[back - 1, back]);
    let told = site.explain(&only([lb1.clone(), silent("lb2")]));
    assert_eq!(told.undo_failed, Some(hosts));
    assert_eq!(told.resume, Way::PutBack(blue()));
    assert!(matches!(told.abort, Way::Steps(0, _)));
    assert_eq!(told.to_do.len(), 4, "{:#?}", told.to_do);
    assert!(told.to_do[0].what.starts_with("bring `lb2` back"), "{:#?}", told.to_do);
    assert!(told.to_do[1].what.starts_with("`bg resume`"), "{:#?}", told.to_do);
    let by_hand = format!("cd /etc/nginx/bg/shop/live && ln -s gen/{back} back && mv -T back current");
    assert!(told.to_do[2].what.contains("console of `lb2`"), "{:#?}", told.to_do);
    assert_eq!(told.to_do[2].line, Some(by_hand));
    assert!(told.to_do[3].what.contains("gone for good"), "{:#?}", told.to_do);

    // It answers again, and has the new traffic still.
    let lb2 = balancer("lb2", back - 1, &green(), &[back - 1, back]);
    let told = site.explain(&only([lb1.clone(), lb2]));
    assert!(told.to_do[0].what.starts_with("every balancer answers again, so `bg resume`"), "{:#?}", told.to_do);
    assert!(told.found[1].what.starts_with("switched: "), "{:?}", told.found);
    // It was put back by hand: there is nothing left but to say so.
    let lb2 = balancer("lb2", back, &blue(), &[back - 1, back]);
    assert_eq!(site.explain(&only([lb1, lb2])).to_do.len(), 1);

    // Whoever tries again begins a new account of it.
    site.append(vec![Event::Undone { step: 1 }]);
    assert!(site.state.open.as_ref().is_some_and(|open| open.step.is_none()));
}

#[test]
fn an_open_abort_is_finished_by_both() {
    let mut site = Site::staged();
    site.stopped_at(&Command::Abort, 3);
    let told = site.explain(&Seen::default());
    assert_eq!(told.abort, Way::AsResume);
    assert!(matches!(told.resume, Way::Steps(3, _)), "{:?}", told.resume);
}

#[test]
fn only_what_leads_back_ends_it_too() {
    let mut site = Site::staged();
    site.stopped_at(&canary(), 1);
    assert_eq!(site.explain(&Seen::default()).also, [Verb::CanaryOff, Verb::FlipBack]);
    // Stopped before anything was switched, it is led back all the same: the journal is settled, and blue is made sure of.
    let mut site = Site::staged();
    site.stopped_at(&Command::Flip { revert_after_ms: None }, 0);
    assert_eq!(site.explain(&Seen::default()).also, [Verb::CanaryOff, Verb::FlipBack]);
    let mut site = Site::new();
    site.stopped_at(&deploy(2), 3);
    assert_eq!(site.explain(&Seen::default()).also, [Verb::CanaryOff, Verb::FlipBack]);
    // Not where there is no way back to blue, or none is left.
    let mut site = Site::new();
    site.stopped_at(&deploy(2), 0);
    assert!(site.explain(&Seen::default()).also.is_empty());
    let mut site = Site::staged();
    site.stopped_at(&Command::Abort, 4);
    assert!(site.explain(&Seen::default()).also.is_empty());
}

#[test]
fn an_abort_before_anything_was_switched_only_settles() {
    let mut site = Site::new();
    site.stopped_at(&deploy(2), 0);
    let told = site.explain(&Seen::default());
    assert_eq!(told.abort.lines(), ["prepare: both halves", "switch: both halves"]);
}

#[test]
fn another_inventory_is_refused_with_what_to_do() {
    let mut site = Site::staged();
    site.stopped_at(&Command::Flip { revert_after_ms: None }, 1);
    let told = explain(&site.state, "d2", &segments(), &Seen::default()).expect("open");
    let refused = |way: &Way, words: &str| matches!(way, Way::Refused(why) if why.contains(words));
    assert!(refused(&told.resume, "take the change back for this rollout"), "{:?}", told.resume);
    assert!(refused(&told.abort, "take the change back for this rollout"), "{:?}", told.abort);

    // A sync that was begun with a changed inventory, which the journal does not have yet.
    let mut site = Site::new();
    let sync = Command::Sync { revision: Some(2), traffic: false };
    let steps = plan(&site.state, &segments(), &sync).expect("it is allowed");
    site.append(site.state.begin(&sync, &steps, "d2"));
    let told = explain(&site.state, "d2", &segments(), &Seen::default()).expect("open");
    assert!(refused(&told.resume, "`bg sync` again"), "{:?}", told.resume);
    assert!(refused(&told.abort, "`bg sync` again"), "{:?}", told.abort);
    let told = explain(&site.state, DIGEST, &segments(), &Seen::default()).expect("open");
    assert!(refused(&told.resume, "bring that one back"), "{:?}", told.resume);
    assert!(matches!(told.abort, Way::Steps(0, _)), "{:?}", told.abort);
}
