//! What only root can stage: a disk that runs full, and balancers where the login is an ordinary user with sudo or without.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use bg_playground::{Behaviour, Playground, listens, until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::down::noise;
use super::{SEEN, bg, deploy, release, says, serves, small, stage, state};

fn remount(site: &Playground, host: &str, options: &str) {
    let root = &site.place(host).root;
    let ran = Command::new("mount").args(["-o", &format!("remount,{options}")]).arg(root).output().unwrap();
    assert!(ran.status.success(), "{ran:?}");
}

#[test]
fn a_full_disk_is_quoted_leaves_nothing_behind_and_costs_nobody_a_request() {
    let mut site = small().start().unwrap();
    if site.skipped_unless_root("a_full_disk_is_quoted_leaves_nothing_behind_and_costs_nobody_a_request") {
        return;
    }
    site.small_disk("web2", 1024).unwrap();
    site.setup("v1").unwrap().expect(0);
    let below = |path: &str| {
        let entries = fs::read_dir(site.place("web2").root.join(path)).unwrap();
        let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    let (releases, own) = (below("releases"), below(".bg"));

    // Seen before anything is sent.
    let path = site.artifact("web", "large", &Behaviour::default()).unwrap();
    fs::write(path.join("large"), noise(3 << 20)).unwrap();
    let said = bg(&site, "deploy --release large", 4);
    says(
        &said,
        &["`web2`", "too little room for the release", "nothing was sent", "make room on `web2`", "Blue carries"],
    );
    assert_eq!((stage(&site), below("releases")), ("isolated", releases.clone()));
    serves(&site, "blue", "v1");

    // Seen only while it is unpacked: the disk has room, and no more file names.
    let path = site.artifact("web", "many", &Behaviour::default()).unwrap();
    for number in 0..200 {
        fs::write(path.join(format!("file-{number}")), "").unwrap();
    }
    remount(&site, "web2", "nr_inodes=60");
    let said = bg(&site, "deploy --release many", 4);
    says(
        &said,
        &["`web2`", "the disk is full there", "No space left on device", "make room on `web2`", "Blue carries"],
    );
    assert_eq!((below("releases"), below(".bg")), (releases, own));
    serves(&site, "blue", "v1");
    assert_eq!(site.ask("web2", "/").unwrap().release(), "v1", "what runs was not touched");

    remount(&site, "web2", "size=20m,nr_inodes=0");
    bg(&site, "deploy --release many", 0);
    bg(&site, "abort", 0);
    serves(&site, "both", "v1");
}

/// An ordinary user who exists only for one sshd, in a mount namespace of its own.
struct Ordinary {
    sshd: Child,
    dir: PathBuf,
}

const NAME: &str = "bgdeploy";
const ID: u32 = 61_234;

impl Ordinary {
    /// Replaces the sshd of `host` by one where the login is an ordinary user, who may do as root what `sudoers` says.
    fn replace(site: &mut Playground, host: &str, sudoers: &str) -> Ordinary {
        site.stop_sshd(host).unwrap();
        let (own, at) = (site.host(host).dir.clone(), site.host(host).ssh);
        let dir = own.join("ordinary");
        fs::create_dir(&dir).unwrap();
        let text = |file: &str| fs::read_to_string(file).unwrap();
        let write = |name: &str, text: String, mode: u32| {
            fs::write(dir.join(name), text).unwrap();
            fs::set_permissions(dir.join(name), fs::Permissions::from_mode(mode)).unwrap();
        };
        let home = own.join("home");
        write("passwd", format!("{}{NAME}:x:{ID}:{ID}::{}:/bin/sh\n", text("/etc/passwd"), home.display()), 0o644);
        write("group", format!("{}{NAME}:x:{ID}:\n", text("/etc/group")), 0o644);
        write("shadow", format!("{}{NAME}:*:19000:0:99999:7:::\n", text("/etc/shadow")), 0o600);
        write("sudoers", format!("root ALL=(ALL:ALL) ALL\n{sudoers}\n"), 0o440);
        write("authorized", text(&site.dir().join("keys/authorized_keys").display().to_string()), 0o644);
        let keys = site.dir().join("keys/authorized_keys").display().to_string();
        let config = text(&own.join("sshd_config").display().to_string());
        let config = config.replace(&keys, &dir.join("authorized").display().to_string());
        write("sshd_config", config, 0o600);
        let ssh_config = fs::read_to_string(site.ssh_config()).unwrap();
        let before = format!("Host {host}\n");
        fs::write(site.ssh_config(), ssh_config.replace(&before, &format!("{before}  User {NAME}\n"))).unwrap();
        std::os::unix::fs::chown(&home, Some(ID), Some(ID)).unwrap();
        let script = "for file in passwd group shadow sudoers; do mount --bind \"$1/$file\" \"/etc/$file\"; done\n\
                      exec \"$2\" -D -e -f \"$1/sshd_config\"";
        let sshd = ["/usr/sbin/sshd", "/sbin/sshd"].into_iter().find(|path| Path::new(path).exists()).unwrap();
        let log = fs::File::create(dir.join("log")).unwrap();
        let sshd = Command::new("unshare")
            .args(["--mount", "sh", "-euc", script, "sh"])
            .arg(&dir)
            .arg(sshd)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .process_group(0)
            .spawn()
            .unwrap();
        until(SEEN, "the ordinary user's sshd", || listens(at).then_some(())).unwrap();
        Ordinary { sshd, dir }
    }

    fn may(&self, sudoers: &str) {
        // In place: it is bound to the file, not to the name.
        fs::write(self.dir.join("sudoers"), format!("root ALL=(ALL:ALL) ALL\n{sudoers}\n")).unwrap();
    }
}

impl Drop for Ordinary {
    fn drop(&mut self) {
        let _gone = kill(Pid::from_raw(i32::try_from(self.sshd.id()).unwrap()), Signal::SIGKILL);
        let _gone = self.sshd.wait();
    }
}

#[test]
fn a_balancer_needs_root_for_its_configuration_and_for_no_shift() {
    let mut site = small().start().unwrap();
    if site.skipped_unless_root("a_balancer_needs_root_for_its_configuration_and_for_no_shift") {
        return;
    }
    if !Path::new("/etc/sudoers").exists() {
        writeln!(
            std::io::stderr(),
            "skipped (it needs sudo): a_balancer_needs_root_for_its_configuration_and_for_no_shift"
        )
        .unwrap();
        return;
    }
    let login = Ordinary::replace(&mut site, "lb1", "");
    release(&site, "v1", &Behaviour::default());
    let dir = site.balancer("lb1").bg_dir.clone();
    let bare = |site: &Playground| {
        assert!(!dir.exists() && site.app_pid("web1").is_none(), "nothing was touched");
        assert!(state(site).open.is_none() && state(site).stage.is_none());
    };

    let said = bg(&site, "setup --release v1", 1);
    says(&said, &["`lb1`: no right to run `install -d -m 755", "set `sudo = true` in [balancers]"]);
    bare(&site);
    site.edit_inventory(|text| text.replace("sudo = false", "sudo = true")).unwrap();
    let said = bg(&site, "setup --release v1", 1);
    says(&said, &["`lb1`: no right to run `sudo -n install -d -m 755", "Allow it for the login user in sudoers"]);
    bare(&site);

    login.may(&format!("{NAME} ALL=(root) NOPASSWD: ALL"));
    bg(&site, "setup --release v1", 0);
    let owner = |below: &str| fs::symlink_metadata(dir.join(below)).unwrap().uid();
    assert_eq!([owner("."), owner("http.conf"), owner("server.conf"), owner("live")], [0, 0, 0, ID]);
    assert_eq!(fs::metadata(&dir).unwrap().permissions().mode() & 0o777, 0o755);
    site.wire().unwrap();
    serves(&site, "both", "v1");
    bg(&site, "check --hosts", 0);

    // `nginx -T`, which shows everything that it loads, is the one thing that a deploy needs root for.
    login.may("");
    release(&site, "v2", &Behaviour::default());
    let said = bg(&site, "deploy --release v2", 3);
    says(
        &said,
        &["`lb1`: no right to run `sudo -n ", " -T`", "Allow it for the login user in sudoers", "nothing was touched"],
    );
    says(&said, &["because bg cannot tell whether all public traffic passes it"]);
    assert_eq!(stage(&site), "balanced");
    login.may(&format!("{NAME} ALL=(root) NOPASSWD: ALL"));
    deploy(&site, "v2", &Behaviour::default(), 0);

    // No shift asks for any right.
    login.may("");
    for shift in ["canary mobile=10%", "canary off", "flip", "flip --back", "flip"] {
        bg(&site, shift, 0);
    }
    serves(&site, "green", "v2");
    says(&bg(&site, "check --hosts", 1), &["`lb1`", "no right to run `sudo -n "]);
    login.may(&format!("{NAME} ALL=(root) NOPASSWD: ALL"));
    bg(&site, "restore", 0);
    serves(&site, "both", "v2");
}
