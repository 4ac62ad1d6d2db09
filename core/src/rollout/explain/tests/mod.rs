mod found;
mod ways;

use super::{super::*, *};
use crate::{
    half::Half,
    release::{Content, Release, Version},
    traffic::{SegmentShare, Share, Traffic},
};

const DIGEST: &str = "d1";

fn by(user: &str) -> By {
    By { user: user.to_owned(), host: "desk".to_owned(), pid: 1 }
}

fn segments() -> Vec<String> {
    vec!["mobile".to_owned()]
}

fn release(version: u64) -> Release {
    let content = Content::Artifact { sha256: String::new(), path: String::new() };
    let pools = [("web".to_owned(), content)].into_iter().collect();
    Release { version: Version(version), label: format!("label{version}"), pools }
}

/// A site under the hands of `anna`, whose journal says what happens.
struct Site {
    state: State,
    user: &'static str,
}

impl Site {
    /// Balanced on v1, generation 1.
    fn new() -> Site {
        let mut site = Site { state: State::default(), user: "anna" };
        site.append(vec![Event::SiteCreated { site: "shop".to_owned(), journal: "j1".to_owned() }]);
        site.run(&Command::Setup { release: release(1), revision: 1 });
        site
    }

    fn append(&mut self, events: Vec<Event>) {
        let at = format!("2026-01-01T00:00:{:02}Z", self.state.length % 60);
        let entry = Entry { v: FORMAT, index: self.state.length, at, by: by(self.user), events };
        self.state.apply(&entry).expect("the journal follows");
    }

    fn begin(&mut self, command: &Command) -> usize {
        let plan = plan(&self.state, &segments(), command).expect("it is allowed");
        self.append(self.state.begin(command, &plan, DIGEST));
        plan.steps.len()
    }

    fn start(&mut self, index: usize) {
        let before = self.state.before(index, Survey { highest: 0, settled: false });
        self.append(vec![Event::StepStarted { step: index, before }]);
    }

    fn run(&mut self, command: &Command) {
        for index in 0..self.begin(command) {
            self.start(index);
            self.append(self.state.finish(index, Vec::new()));
        }
    }

    /// `command`, stopped in the middle of the step at `index`.
    fn stopped_at(&mut self, command: &Command, index: usize) {
        self.begin(command);
        for done in 0..index {
            self.start(done);
            self.append(self.state.finish(done, Vec::new()));
        }
        self.start(index);
    }

    fn fail(&mut self, index: usize, undoing: bool) {
        self.append(vec![Event::StepFailed { step: index, why: "`lb2` is unreachable".to_owned(), undoing }]);
    }

    fn staged() -> Site {
        let mut site = Site::new();
        site.run(&deploy(2));
        site
    }

    fn explain(&self, seen: &Seen) -> Explained {
        explain(&self.state, DIGEST, &segments(), seen).expect("a command is open")
    }

    fn whats(&self, seen: &Seen) -> Vec<String> {
        found(&self.state, seen).into_iter().map(|found| format!("{}: {}", found.host, found.what)).collect()
    }
}

fn deploy(version: u64) -> Command {
    Command::Deploy { release: release(version), canary: None, revert_after_ms: None }
}

fn blue() -> Traffic {
    Traffic::on(Half::Blue, &segments())
}

fn green() -> Traffic {
    Traffic::on(Half::Green, &segments())
}

fn canary() -> Command {
    let share = |segment: &str, green| SegmentShare {
        segment: segment.to_owned(),
        green: Share::from_hundredths(green).expect("a share"),
    };
    Command::Canary { shares: vec![share("mobile", 1000), share("all", 0)], revert_after_ms: None }
}

fn balancer(host: &str, generation: u64, traffic: &Traffic, generations: &[u64]) -> BalancerSeen {
    let answer = OnBalancer {
        has_dirs: true,
        tree: TreeSeen::Ours { generation, traffic: traffic.clone() },
        generations: generations.to_vec(),
        revision: Some(1),
        running: None,
        in_flight: None,
    };
    BalancerSeen { host: host.to_owned(), dir: "/etc/nginx/bg/shop".to_owned(), answer: Ok(answer) }
}

fn silent(host: &str) -> BalancerSeen {
    let answer = Err("it is unreachable: Connection refused".to_owned());
    BalancerSeen { host: host.to_owned(), dir: "/etc/nginx/bg/shop".to_owned(), answer }
}

fn altered(mut balancer: BalancerSeen, change: impl FnOnce(&mut OnBalancer)) -> BalancerSeen {
    change(balancer.answer.as_mut().expect("it answered"));
    balancer
}

fn place(host: &str, half: Half, on: OnPlace) -> PlaceSeen {
    PlaceSeen {
        host: host.to_owned(),
        pool: "web".to_owned(),
        half,
        unpacks: true,
        answer: Ok(on),
        health: Some(Ok(())),
        named: None,
    }
}

fn on(release: &str, placed: &[&str]) -> OnPlace {
    OnPlace {
        release: Some(release.to_owned()),
        current: Some(release.to_owned()),
        placed: placed.iter().map(|name| (*name).to_owned()).collect(),
        ..OnPlace::default()
    }
}

fn only(balancers: impl Into<Vec<BalancerSeen>>) -> Seen {
    Seen { balancers: balancers.into(), places: Vec::new() }
}

fn places(places: impl Into<Vec<PlaceSeen>>) -> Seen {
    Seen { balancers: Vec::new(), places: places.into() }
}
