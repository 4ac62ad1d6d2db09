//! Many hosts at once: `exec` and `status` against as many raw connections, and against tools made for that.

use std::fs;
use std::process::Command;

use bg_playground::{Error, Playground, Pool, Result};

use super::measure::{Aim, Contender, Row, at_once, in_turns, took};
use super::{Kept, is_installed, ssh};

/// Twenty hosts: a command on all of them.
pub fn exec(rounds: usize, kept: &mut Kept) -> Result<Vec<Row>> {
    eprintln!("exec on 20 hosts");
    let site = Playground::options().balancers(1).workers(1).pools([Pool::new("web").halves(10, 10)]).start()?;
    super::usual_key_exchange(&site)?;
    let site = kept.keep(site);
    let hosts: Vec<&str> = site.places().iter().map(|place| place.host.name.as_str()).collect();
    let list = site.dir().join("hosts");
    fs::write(&list, hosts.join("\n") + "\n").map_err(|source| Error::Io {
        what: "cannot write",
        object: "hosts".into(),
        source,
    })?;
    let config = site.ssh_config().display().to_string();
    let raw = || at_once(hosts.iter().map(|host| ssh(site, host, "true")).collect());
    let ansible = || {
        let mut command = tool(site, "ansible");
        command.args(["all", "-i"]).arg(&list).args(["-f", "20", "-m", "raw", "-a", "true"]);
        // Each run makes its own connections, as the others do.
        command.env("ANSIBLE_SSH_ARGS", format!("-F {config} -o ControlMaster=no"));
        at_once(vec![command])
    };
    let pssh = || {
        let mut command = tool(site, "parallel-ssh");
        command.arg("-h").arg(&list).args(["-p", "20", "-x", &format!("-F {config}"), "true"]);
        at_once(vec![command])
    };
    let clush = || {
        let mut command = tool(site, "clush");
        command.args(["-f", "20", "-o", &format!("-F {config}"), "--hostfile"]).arg(&list).arg("true");
        at_once(vec![command])
    };
    let mut contenders = vec![
        Contender { name: "bg exec", run: Box::new(|| took(site.bg(["exec", "web", "--", "true"])?)) },
        Contender { name: "ssh HOST true", run: Box::new(raw) },
    ];
    for (program, name, run) in [
        ("ansible", "Ansible (`ansible -m raw`)", Box::new(ansible) as Box<dyn FnMut() -> _>),
        ("parallel-ssh", "pssh (`parallel-ssh`)", Box::new(pssh)),
        ("clush", "ClusterShell (`clush`)", Box::new(clush)),
    ] {
        if is_installed(program) {
            contenders.push(Contender { name, run });
        }
    }
    let names: Vec<&str> = contenders.iter().map(|contender| contender.name).collect();
    let times = in_turns(rounds, &mut contenders)?;
    let what = "`bg exec` on 20 hosts";
    let mut rows = vec![Row::ratio(what, "20 raw `ssh HOST true`, at once", &times[0], &times[1], Aim::AtMost(1.05))];
    for (name, theirs) in names.iter().zip(&times).skip(2) {
        rows.push(Row::ratio(what, name, &times[0], theirs, Aim::AtMost(1.0)));
    }
    Ok(rows)
}

/// Twenty hosts: where things stand.
pub fn status(rounds: usize, kept: &mut Kept) -> Result<Vec<Row>> {
    eprintln!("status on 20 hosts");
    let mut site = Playground::options().balancers(2).workers(1).pools([Pool::new("web").halves(9, 9)]).start()?;
    super::usual_key_exchange(&site)?;
    took(site.setup("v1")?)?;
    let site = kept.keep(site);
    let balancers = site.balancers().iter().map(|balancer| &balancer.host);
    let hosts: Vec<&str> =
        balancers.chain(site.places().iter().map(|place| &place.host)).map(|h| h.name.as_str()).collect();
    let times = in_turns(
        rounds,
        &mut [
            Contender { name: "bg status", run: Box::new(|| took(site.bg(["status"])?)) },
            Contender {
                name: "ssh HOST true",
                run: Box::new(|| at_once(hosts.iter().map(|host| ssh(site, host, "true")).collect())),
            },
        ],
    )?;
    Ok(vec![Row::ratio(
        "`bg status` on 20 hosts",
        "20 raw `ssh HOST true`, at once",
        &times[0],
        &times[1],
        Aim::AtMost(1.2),
    )])
}

/// A tool in the playground's directory, with a home of its own.
fn tool(site: &Playground, program: &str) -> Command {
    let mut command = Command::new(program);
    command.current_dir(site.dir()).env("HOME", site.dir().join("home")).env("LANG", "C.UTF-8");
    command
}
