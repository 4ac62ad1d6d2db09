//! The kinds of journal, each made fresh for one test.

use std::{
    any::Any,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, OnceLock},
    time::Duration,
};

use bg_playground::Etcd;
use bluegreen::edge::{
    host::SshSettings,
    journal::{self, FileStore, OpenError, OpenJournal, Patience, SshStore, Store, take_turn},
};
use bluegreen_core::{
    inventory::parse_location,
    lock::Ticket,
    rollout::{By, Event},
};

use crate::sshd::Sshd;

/// What a child process of the tests is told by: which journal it holds.
const HOLD: &str = "BG_TEST_HOLD";
/// Where the lock goes with the process or its connection. A lease that nobody prolongs is longer.
const SOONER_THAN_A_LEASE: Duration = Duration::from_secs(12);
/// More than anything here takes.
pub const SOON: Duration = Duration::from_secs(60);

/// One journal, and how operators reach it.
pub struct Kind {
    /// Where its files lie.
    pub dir: PathBuf,
    /// How soon somebody else has the lock after the death of who had it: the looks at the queue and a loaded machine are in it.
    pub forgets_the_dead: Duration,
    /// What a child process opens it by: a directory, and for `ssh` the config and the lease in seconds; or where it is in
    /// etcd.
    pub location: String,
    _keep: Vec<Box<dyn Any + Send + Sync>>,
}

/// A journal in a directory.
pub fn file() -> Kind {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("var/journal");
    Kind {
        location: dir.display().to_string(),
        dir,
        forgets_the_dead: SOONER_THAN_A_LEASE,
        _keep: vec![Box::new(temp)],
    }
}

/// A journal on a host.
pub fn ssh() -> Kind {
    ssh_on(Sshd::start(""), journal::LEASE)
}

/// The same on this one, with this lease of whole seconds.
pub fn ssh_on(sshd: Sshd, lease: Duration) -> Kind {
    let dir = sshd.path("var/journal");
    let location = format!("{} {} {}", dir.display(), sshd.path("ssh_config").display(), lease.as_secs());
    Kind { dir, location, forgets_the_dead: SOONER_THAN_A_LEASE, _keep: vec![Box::new(sshd)] }
}

/// A journal in etcd: one etcd for all of them, which ends with this process.
pub fn etcd() -> Kind {
    static ETCD: OnceLock<Etcd> = OnceLock::new();
    let etcd = ETCD.get_or_init(|| Etcd::start(1).unwrap());
    let temp = tempfile::tempdir().unwrap();
    let prefix = format!("/bg/{}", temp.path().file_name().unwrap().to_str().unwrap().trim_start_matches('.'));
    Kind {
        location: etcd.location(&prefix),
        dir: temp.path().join("none"),
        forgets_the_dead: journal::LEASE + Duration::from_secs(5),
        _keep: vec![Box::new(temp)],
    }
}

/// What reaches the host `box` by this config.
pub fn ssh_store(dir: &Path, config: &Path) -> SshStore {
    let settings = SshSettings {
        config: Some(config.to_owned()),
        connect_timeout: Duration::from_secs(5),
        ..SshSettings::default()
    };
    SshStore::new("box", dir.to_str().unwrap(), settings)
}

/// The journal that a child process, or an inventory, knows by this.
pub fn store_at(location: &str) -> Arc<dyn Store> {
    match location.split(' ').collect::<Vec<_>>()[..] {
        [dir, config, lease] => {
            let lease = Duration::from_secs(lease.parse().unwrap());
            Arc::new(ssh_store(Path::new(dir), Path::new(config)).with_lease(lease))
        }
        _ if location.starts_with("etcd:") => {
            journal::store(&parse_location(location).unwrap(), Path::new("/"), SshSettings::default())
        }
        _ => Arc::new(FileStore::new(location.into())),
    }
}

impl Kind {
    /// As another operator reaches it.
    pub fn store(&self) -> Arc<dyn Store> {
        store_at(&self.location)
    }

    /// The records' file.
    pub fn journal(&self) -> PathBuf {
        self.dir.join("journal.jsonl")
    }

    /// A process of its own that holds the lock until it is killed.
    pub fn holder(&self) -> Command {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "kinds::holds_the_lock_when_it_is_told_to", "--nocapture"]).env(HOLD, &self.location);
        command
    }
}

/// Not a test: what [`Kind::holder`] runs. Appends again and again, and ends when it is refused.
#[tokio::test(flavor = "multi_thread")]
async fn holds_the_lock_when_it_is_told_to() {
    use bluegreen::engine::Journal as _;
    let Ok(location) = std::env::var(HOLD) else { return };
    let store = store_at(&location);
    let mut journal = open(&store, "hold").await.unwrap();
    journal.append(created()).await.unwrap();
    for n in 0.. {
        if let Err(error) = journal.append(synced(n)).await {
            panic!("{error}");
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

pub fn by() -> By {
    By { user: "anna".to_owned(), host: "desk".to_owned(), pid: 7 }
}

pub fn ticket(command: &str) -> Ticket {
    Ticket {
        by: by(),
        command: command.to_owned(),
        release: None,
        waits: true,
        since: "2026-01-01T00:00:00Z".to_owned(),
    }
}

pub fn created() -> Vec<Event> {
    vec![Event::SiteCreated { site: "shop".to_owned(), journal: "j1".to_owned() }]
}

pub fn synced(n: u32) -> Vec<Event> {
    vec![Event::Synced { digest: format!("d{n}"), hosts: Vec::new() }]
}

/// Takes the lock at once or not at all, and opens the journal.
pub async fn open(store: &Arc<dyn Store>, command: &str) -> Result<OpenJournal, OpenError> {
    open_within(store, command, None).await
}

/// The same, waiting so long.
pub async fn open_within(
    store: &Arc<dyn Store>,
    command: &str,
    wait: Option<Duration>,
) -> Result<OpenJournal, OpenError> {
    let patience = Patience { wait, skip_superseded: false, ..Patience::default() };
    take_turn(store.as_ref(), &ticket(command), patience, &mut |_| false).await?;
    OpenJournal::open(store.clone(), by()).await
}
