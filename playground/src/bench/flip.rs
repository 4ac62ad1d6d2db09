//! A flip as a whole process against the least that could do it: one connection to each balancer.

use std::process::Command;
use std::time::Duration;

use bg_playground::{Host, Playground, Pool, Result};

use super::measure::{Aim, Contender, Row, at_once, in_turns, took};
use super::{Kept, ssh};

/// The two phases by hand, over a connection each: a tree of a flip's size, durable, then the rename, durable. `N` is the tree's
/// number.
const PREPARE: &str = "set -e; mkdir -p raw/gen/new/full raw/gen/new/green/all; \
    cd raw/gen/new; i=0; while [ $i -lt 100 ]; do : >full/$i; i=$((i+1)); done; \
    i=0; while [ $i -lt 100 ]; do echo $i; i=$((i+1)); done | (cd green/all && xargs -I @ ln -s ../../full @); \
    cd ../..; find gen/new -depth ! -type l -exec sync {} +; mv -T gen/new gen/N; sync gen";
const COMMIT: &str = "set -e; cd raw; ln -s gen/N .new; mv -T .new current; sync .";

/// Where the servers of the site are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Servers {
    /// On the balancers' own hosts, as on a site of few machines.
    Beside,
    /// On hosts of their own: a flip tells each green one that it serves now, over one more connection.
    Apart,
}

/// With so many balancers.
pub fn rows(balancers: usize, rounds: usize, kept: &mut Kept) -> Result<Vec<Row>> {
    let mut rows = with(balancers, Servers::Beside, rounds, kept)?;
    rows.extend(with(balancers, Servers::Apart, rounds, kept)?);
    Ok(rows)
}

fn with(balancers: usize, servers: Servers, rounds: usize, kept: &mut Kept) -> Result<Vec<Row>> {
    eprintln!("flip with {balancers} balancers, servers {servers:?}");
    let mut site =
        Playground::options().balancers(balancers).workers(1).pools([Pool::new("web").halves(1, 1)]).start()?;
    super::usual_key_exchange(&site)?;
    if servers == Servers::Beside {
        let moved: Vec<[String; 2]> = site
            .places()
            .iter()
            .zip(site.balancers())
            .map(|(place, balancer)| {
                let at = |host: &Host| format!("{{ host = \"{}\", address = \"{}\" }}", host.name, host.address);
                [at(&place.host), at(&balancer.host)]
            })
            .collect();
        site.edit_inventory(|text| moved.iter().fold(text.to_owned(), |text, [from, to]| text.replace(from, to)))?;
    }
    took(site.setup("v1")?)?;
    site.release("v2")?;
    took(site.bg(["deploy", "--release", "v2"])?)?;
    let site = kept.keep(site);
    let each = |line: &str| -> Vec<Command> {
        site.balancers().iter().map(|balancer| ssh(site, &balancer.host.name, line)).collect()
    };
    let flip = || {
        let there = took(site.bg(["flip"])?)?;
        took(site.bg(["flip", "--back"])?)?;
        Ok(there)
    };
    let mut number = 0;
    let phases = || -> Result<Duration> {
        number += 1;
        let numbered = |script: &str| script.replace("gen/N", &format!("gen/{number}"));
        Ok(at_once(each(&numbered(PREPARE)))? + at_once(each(&numbered(COMMIT)))?)
    };
    let times = in_turns(
        rounds,
        &mut [
            Contender { name: "bg flip", run: Box::new(flip) },
            Contender { name: "ssh BALANCER true", run: Box::new(|| at_once(each("true"))) },
            Contender { name: "two phases by ssh", run: Box::new(phases) },
        ],
    )?;
    let on = match servers {
        Servers::Beside => "its servers on their hosts",
        Servers::Apart => "the green server on a host of its own",
    };
    let what = format!("`bg flip`, {balancers} balancers, {on}");
    Ok(vec![
        Row::ratio(&what, "one `ssh BALANCER true` to each, at once", &times[0], &times[1], Aim::AtMost(1.3)),
        Row::ratio(&what, "the same two phases as raw `ssh`, at once", &times[0], &times[2], Aim::AtMost(0.75)),
    ])
}
