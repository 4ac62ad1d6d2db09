//! The programs that the playground runs, and its own binary.

use std::env;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::error::{Error, Naming, Result};

/// Where daemons are, for users whose PATH does not have it.
pub(crate) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What was found on this machine.
#[derive(Debug, Clone)]
pub(crate) struct Programs {
    pub(crate) sshd: PathBuf,
    pub(crate) nginx: PathBuf,
    /// Whether nginx knows `-e` (1.19.5): without it an ordinary user gets an alert about /var/log/nginx each time.
    pub(crate) nginx_takes_e: bool,
    /// `bg-playground`, the binary beside this one.
    pub(crate) playground: PathBuf,
    pub(crate) user: String,
    pub(crate) is_root: bool,
}

impl Programs {
    /// Looks for everything; the error names the first that is missing and its Debian package.
    pub(crate) fn find() -> Result<Programs> {
        let sshd = find("sshd").ok_or(Error::Missing { program: "sshd", package: "openssh-server" })?;
        let nginx = find("nginx").ok_or(Error::Missing { program: "nginx", package: "nginx-light" })?;
        let uid = nix::unistd::Uid::effective();
        let user = nix::unistd::User::from_uid(uid)
            .ok()
            .flatten()
            .ok_or_else(|| Error::Unknown(format!("user id {uid} has no name, and sshd needs one")))?;
        if uid.is_root() {
            // sshd as root confines itself there; the package's service makes it, which a container does not run.
            fs::create_dir_all("/run/sshd").naming("cannot create", "/run/sshd")?;
            fs::set_permissions("/run/sshd", fs::Permissions::from_mode(0o755)).naming("cannot change", "/run/sshd")?;
        }
        let nginx_takes_e = version(&nginx) >= (1, 19, 5);
        Ok(Programs { sshd, nginx, nginx_takes_e, playground: app_binary()?, user: user.name, is_root: uid.is_root() })
    }
}

/// A program of this machine.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let path = env::var("PATH").unwrap_or_default();
    path.split(':').chain(PATH.split(':')).map(|dir| Path::new(dir).join(name)).find(|file| file.is_file())
}

fn version(nginx: &Path) -> (u32, u32, u32) {
    let out = Command::new(nginx).arg("-v").stdin(Stdio::null()).output();
    let text = out.map(|out| String::from_utf8_lossy(&out.stderr).into_owned()).unwrap_or_default();
    let numbers: Vec<u32> = text
        .split_once("nginx/")
        .map_or("", |(_, number)| number)
        .split(|c: char| !c.is_ascii_digit())
        .take(3)
        .filter_map(|number| number.parse().ok())
        .collect();
    match numbers[..] {
        [major, minor, patch] => (major, minor, patch),
        _ => (0, 0, 0),
    }
}

/// Writes a program, which can be run as soon as this returns. A process of its own writes it: a file that this process has
/// open is open in each child, too, that another thread begins meanwhile, until that child runs what it is begun for; and the
/// kernel runs no program that somebody may write to (`Text file busy`).
pub fn write_program(path: &Path, text: &str) -> Result<()> {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", "cat >\"$1\" && chmod 755 \"$1\"", "sh"]).arg(path).stdin(Stdio::piped());
    let mut child = command.spawn().naming("cannot run", "/bin/sh")?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(text.as_bytes()).naming("cannot write", path)?;
    }
    let status = child.wait().naming("cannot write", path)?;
    if status.success() {
        return Ok(());
    }
    Err(Error::Failed { command: format!("cat >{}", path.display()), status: status.to_string(), said: String::new() })
}

/// The playground's own binary: this program itself, or what cargo built beside the test that runs.
pub fn app_binary() -> Result<PathBuf> {
    beside("bg-playground")
}

/// The binary of that name that cargo built beside this program (target/debug/NAME, seen from target/debug/deps too).
pub(crate) fn beside(name: &str) -> Result<PathBuf> {
    let me = env::current_exe().naming("cannot find", "this program")?;
    let mut dir = me.parent().unwrap_or(Path::new("/"));
    if dir.ends_with("deps") || dir.ends_with("examples") {
        dir = dir.parent().unwrap_or(dir);
    }
    let file = dir.join(name);
    if file.is_file() { Ok(file) } else { Err(Error::NotBuilt(file.display().to_string())) }
}
