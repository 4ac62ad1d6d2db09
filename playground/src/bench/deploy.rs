//! A release of 2,000 files on four servers, against raw tar, and against tools that do the same.

use std::cell::RefCell;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::time::Duration;

use bg_playground::{Behaviour, Error, Playground, Pool, Result};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::Value;

use super::measure::{Aim, Contender, Row, Times, at_once, in_turns, took};
use super::{Kept, is_installed};

const FILES: usize = 2_000;
const FILE_BYTES: usize = 25 * 1024;

fn io(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let object = path.display().to_string();
    move |source| Error::Io { what, object, source }
}

/// All tools on the same four hosts. Nobody removes what an earlier round made: see [`Kept`].
pub fn rows(rounds: usize, kept: &mut Kept) -> Result<Vec<Row>> {
    eprintln!("deploy of {FILES} files, {} MB", FILES * FILE_BYTES / 1_000_000);
    let pool = Pool::new("web").halves(1, 4).health("successes", "1").health("smoke", "").health("release_header", "");
    let mut site = Playground::options().balancers(1).workers(1).pools([pool]).start()?;
    super::usual_key_exchange(&site)?;
    took(site.setup("v1")?)?;
    // The application stays: the others restart nothing either.
    site.edit_inventory(|text| {
        let lines = text.lines().map(|line| if line.starts_with("restart = ") { "restart = \"true\"" } else { line });
        lines.collect::<Vec<_>>().join("\n") + "\n"
    })?;
    let tree = Tree::make(site.dir().join("tree"), 1)?;
    let site = kept.keep(site);
    let hosts: Vec<String> =
        site.half("web", bg_playground::Half::Green).iter().map(|place| place.host.name.clone()).collect();
    let (mut number, mut sent, whole) = (0, 0, RefCell::new(Vec::new()));
    let ours = || {
        number += 1;
        let label = format!("big{number}");
        tree.release(site, &label)?;
        settle()?;
        let deployed = took(site.bg(["deploy", "--release", &label])?)?;
        let waited = waited(site)?;
        eprintln!("  of {:.0} ms it waited for requests and health {:.0} ms", ms(deployed), ms(waited));
        whole.borrow_mut().push(deployed);
        took(site.bg(["abort"])?)?;
        Ok(deployed.saturating_sub(waited))
    };
    let mut contenders = vec![
        Contender { name: "bg deploy, its waits aside", run: Box::new(ours) },
        Contender {
            name: "tar | zstd | ssh",
            run: Box::new(|| {
                sent += 1;
                settle().and_then(|()| raw(site, &tree, &hosts, sent))
            }),
        },
    ];
    if is_installed("cap") {
        contenders.extend(Rc::new(Capistrano::prepare(site, &hosts)?).contenders());
    }
    if is_installed("ansible-playbook") {
        let ansible = Ansible::prepare(site, &tree, &hosts)?;
        contenders.push(Contender {
            name: "Ansible playbook",
            run: Box::new(move || settle().and_then(|()| ansible.play())),
        });
    }
    let names: Vec<&str> = contenders.iter().map(|contender| contender.name).collect();
    let times = in_turns(rounds, &mut contenders)?;
    let what = "`bg deploy` of 2,000 files, 51 MB, to 4 servers, without its waits for requests and health";
    let raw = "`tar c \\| zstd \\| ssh 'zstd -d \\| tar x'` to the same, at once";
    let mut rows = vec![Row::ratio(what, raw, &times[0], &times[1], Aim::AtMost(1.15))];
    drop(contenders);
    // The first round does not count.
    let whole = Times::of(whole.into_inner().into_iter().skip(1));
    rows.push(Row::ratio("the same with its waits", raw, &whole, &times[1], Aim::Shown));
    for (name, theirs) in names.iter().zip(&times).skip(2) {
        // There bg is the only one that sends anything.
        let aim = if *name == CAPISTRANO_AGAIN { Aim::Shown } else { Aim::AtMost(0.5) };
        rows.push(Row::ratio(what, name, &times[0], theirs, aim));
    }
    Ok(rows)
}

/// Writes to the disk what others left to be written: bg has what it places written before it counts on it, and would wait for
/// theirs too, since all are on one disk.
fn settle() -> Result<()> {
    at_once(vec![Command::new("sync")]).map(drop)
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// How long the last command in the journal waited for requests to end and for servers to be healthy, by its own records.
fn waited(site: &Playground) -> Result<Duration> {
    let path = site.dir().join(".bg/shop/journal.jsonl");
    let text = fs::read_to_string(&path).map_err(io("cannot read", &path))?;
    let (mut steps, mut began, mut waited) = (Vec::new(), None, 0.0);
    for line in text.lines() {
        let record: Value = serde_json::from_str(line).map_err(|error| Error::Unknown(format!("{line}: {error}")))?;
        let at = record["at"].as_str().and_then(second_of_day);
        for event in record["events"].as_array().into_iter().flatten() {
            let step = || event["step"].as_u64().and_then(|index| steps.get(usize::try_from(index).ok()?)).cloned();
            match event["event"].as_str() {
                Some("command_started") => {
                    let planned = event["plan"]["steps"].as_array().cloned().unwrap_or_default();
                    steps = planned.iter().map(|planned| planned["step"]["do"].clone()).collect();
                    waited = 0.0;
                }
                Some("step_started") => began = step().filter(|it| it == "drain" || it == "check").and(at),
                Some("step_done") => {
                    if let (Some(began), Some(at)) = (began.take(), at) {
                        waited += (at - began).rem_euclid(86_400.0);
                    }
                }
                _ => {}
            }
        }
    }
    Ok(Duration::from_secs_f64(waited))
}

/// Of a time as `2026-11-22T02:28:40.452Z`.
fn second_of_day(at: &str) -> Option<f64> {
    let mut parts = at.split_once('T')?.1.trim_end_matches('Z').split(':').map(str::parse::<f64>);
    let (hours, minutes, seconds) = (parts.next()?.ok()?, parts.next()?.ok()?, parts.next()?.ok()?);
    Some(hours * 3600.0 + minutes * 60.0 + seconds)
}

/// The files, which compress about as JavaScript does, and are linked into each release.
struct Tree {
    dir: PathBuf,
}

impl Tree {
    fn make(dir: PathBuf, seed: u64) -> Result<Tree> {
        let mut random = StdRng::seed_from_u64(seed);
        let words: Vec<String> = (0..2_000)
            .map(|_| (0..random.random_range(3..10)).map(|_| char::from(random.random_range(b'a'..=b'z'))).collect())
            .collect();
        for number in 0..FILES {
            let folder = dir.join(format!("part{}", number % 40));
            fs::create_dir_all(&folder).map_err(io("cannot create", &folder))?;
            let mut text = String::with_capacity(FILE_BYTES + 16);
            while text.len() < FILE_BYTES {
                text.push_str(&words[random.random_range(0..words.len())]);
                text.push(if random.random_ratio(1, 8) { '\n' } else { ' ' });
            }
            let file = folder.join(format!("{number}.js"));
            fs::write(&file, text).map_err(io("cannot write", &file))?;
        }
        Ok(Tree { dir })
    }

    /// A release of the demo application with all the files in it.
    fn release(&self, site: &Playground, label: &str) -> Result<()> {
        let artifact = site.artifact("web", label, &Behaviour::default())?;
        let copied = Command::new("cp").args(["-al"]).arg(&self.dir).arg(artifact.join("public/tree")).status();
        match copied {
            Ok(status) if status.success() => Ok(()),
            other => Err(Error::Unknown(format!("the tree could not be linked: {other:?}"))),
        }
    }
}

fn raw(site: &Playground, tree: &Tree, hosts: &[String], number: u32) -> Result<Duration> {
    let line = |host: &String| {
        let mut command = Command::new("sh");
        let script = "tar -C \"$1\" -c . | zstd -q | ssh -F \"$2\" -o BatchMode=yes \"$3\" \
                      \"mkdir -p raw/$4 && zstd -dq | tar -x -C raw/$4\"";
        command.args(["-c", script, "raw"]).arg(&tree.dir).arg(site.ssh_config()).arg(host).arg(number.to_string());
        command
    };
    at_once(hosts.iter().map(line).collect())
}

const CAPISTRANO: &str = "Capistrano, a commit that is new to the servers";
const CAPISTRANO_AGAIN: &str = "Capistrano, the same commit once more";

/// A project of Capistrano's own kind: a git repository that every server fetches from and unpacks.
struct Capistrano {
    dir: PathBuf,
    home: PathBuf,
    repository: PathBuf,
}

impl Capistrano {
    fn prepare(site: &Playground, hosts: &[String]) -> Result<Capistrano> {
        let dir = site.dir().join("cap");
        fs::create_dir_all(dir.join("config/deploy")).map_err(io("cannot create", &dir))?;
        let write = |name: &str, text: String| fs::write(dir.join(name), text).map_err(io("cannot write", &dir));
        write(
            "Capfile",
            "require \"capistrano/setup\"\nrequire \"capistrano/deploy\"\nrequire \"capistrano/scm/git\"\n\
             install_plugin Capistrano::SCM::Git\n"
                .into(),
        )?;
        let repository = site.dir().join("repo.git");
        write(
            "config/deploy.rb",
            format!(
                "set :application, \"shop\"\nset :repo_url, \"{}\"\nset :branch, \"main\"\nset :deploy_to, \"~/cap\"\n\
                 set :keep_releases, 1000\nset :format, :simpletext\nset :log_level, :warn\n\
                 set :ssh_options, config: [\"{}\"]\n",
                repository.display(),
                site.ssh_config().display()
            ),
        )?;
        let servers: String = hosts.iter().map(|host| format!("server \"{host}\", roles: %w[app]\n")).collect();
        write("config/deploy/production.rb", servers)?;
        // The files are random, so that a search for similar ones would cost a fetch its time and find nothing.
        let script = "set -e; git init -q --bare -b main \"$1\"; git -C \"$1\" config pack.window 0; \
                      git -C \"$1\" config gc.auto 0";
        let mut git = Command::new("sh");
        git.args(["-c", script, "repo"]).arg(&repository);
        at_once(vec![git])?;
        Ok(Capistrano { dir, home: site.dir().join("home"), repository })
    }

    /// A release that its servers have to fetch first, as everybody's, and one that they fetched before.
    fn contenders<'a>(self: Rc<Self>) -> [Contender<'a>; 2] {
        let again = Rc::clone(&self);
        let mut seed = 1;
        let new = move || {
            seed += 1;
            self.commit(seed)?;
            settle().and_then(|()| self.deploy())
        };
        let again = move || settle().and_then(|()| again.deploy());
        [Contender { name: CAPISTRANO, run: Box::new(new) }, Contender { name: CAPISTRANO_AGAIN, run: Box::new(again) }]
    }

    /// Commits a tree of other files, as one pack, which is what a repository that was pushed to has.
    fn commit(&self, seed: u64) -> Result<()> {
        let tree = Tree::make(self.dir.join(format!("tree{seed}")), seed)?;
        let script = "set -e; export GIT_DIR=\"$2\" GIT_WORK_TREE=\"$1\"; git -c core.bigFileThreshold=1k add -A; \
                      git -c user.name=bench -c user.email=bench@localhost commit -qm tree";
        let mut git = Command::new("sh");
        git.args(["-c", script, "commit"]).arg(&tree.dir).arg(&self.repository);
        at_once(vec![git]).map(drop)
    }

    fn deploy(&self) -> Result<Duration> {
        let mut command = Command::new("cap");
        command.args(["production", "deploy"]).current_dir(&self.dir).env("HOME", &self.home).env("LANG", "C.UTF-8");
        at_once(vec![command])
    }
}

/// A playbook: copy (one archive, made beforehand, unpacked there), symlink, restart.
struct Ansible {
    dir: PathBuf,
    home: PathBuf,
    config: PathBuf,
    run: std::cell::Cell<u32>,
}

impl Ansible {
    fn prepare(site: &Playground, tree: &Tree, hosts: &[String]) -> Result<Ansible> {
        let dir = site.dir().join("ansible");
        fs::create_dir_all(&dir).map_err(io("cannot create", &dir))?;
        let write = |name: &str, text: &str| fs::write(dir.join(name), text).map_err(io("cannot write", &dir));
        write("hosts", &(hosts.join("\n") + "\n"))?;
        write(
            "play.yml",
            "- hosts: all\n  gather_facts: false\n  tasks:\n\
             \x20   - file: path=~/ansible/releases/{{ run }} state=directory\n\
             \x20   - unarchive: src=tree.tar.gz dest=~/ansible/releases/{{ run }}\n\
             \x20   - file: src=releases/{{ run }} dest=~/ansible/current state=link\n\
             \x20   - command: 'true'\n",
        )?;
        let mut tar = Command::new("tar");
        tar.arg("-C").arg(&tree.dir).arg("-czf").arg(dir.join("tree.tar.gz")).arg(".");
        at_once(vec![tar])?;
        Ok(Ansible { dir, home: site.dir().join("home"), config: site.ssh_config(), run: std::cell::Cell::new(0) })
    }

    fn play(&self) -> Result<Duration> {
        self.run.set(self.run.get() + 1);
        let mut command = Command::new("ansible-playbook");
        command
            .args(["-i", "hosts", "-f", "20", "-e", &format!("run={}", self.run.get()), "play.yml"])
            .current_dir(&self.dir)
            .env("HOME", &self.home)
            .env("LANG", "C.UTF-8")
            .env("ANSIBLE_PIPELINING", "True")
            // The playground's sshd has no sftp.
            .env("ANSIBLE_SSH_TRANSFER_METHOD", "piped")
            // As it comes: its tasks share one connection to each host. A new one for each run.
            .env("ANSIBLE_SSH_ARGS", format!("-F {} -o ControlMaster=auto -o ControlPersist=1s", self.config.display()))
            .stdin(Stdio::null());
        at_once(vec![command])
    }
}
