//! `make bench`: bg against the least that could do the same and against other tools, on this machine. Every figure is a
//! ratio of medians within one run, since the machine's own speed changes from hour to hour.

mod deploy;
mod fleet;
mod flip;
mod local;
mod measure;
mod serving;

use std::fs;
use std::path::Path;
use std::process::Command;

use bg_playground::{Error, Playground, Result};
use measure::Row;

/// The parts that can be run alone, in the order of the table.
const PARTS: [&str; 9] = ["start", "check", "flip2", "flip10", "exec", "status", "deploy", "requests", "throughput"];
/// Where the table stands in the document.
const BEGIN: &str = "<!-- bench: begin -->\n";
const END: &str = "<!-- bench: end -->\n";

/// The playgrounds of parts that are over, until all are: ext4 takes no inode that was freed in the last minutes, and looks at each
/// of those for every file that is made, which was two fifths of all processor time where one part removed what it had made.
#[derive(Default)]
struct Kept(Vec<Playground>);

impl Kept {
    fn keep(&mut self, site: Playground) -> &Playground {
        self.0.push(site);
        &self.0[self.0.len() - 1]
    }
}

/// Runs the parts (all where none is named), prints the table, and writes it into `document` where one is given.
pub fn run(parts: &[String], rounds: usize, document: Option<&Path>) -> Result<()> {
    if let Some(unknown) = parts.iter().find(|part| !PARTS.contains(&part.as_str())) {
        return Err(Error::Unknown(format!("there is no part `{unknown}`: {}", PARTS.join(", "))));
    }
    let wanted = PARTS.into_iter().filter(|part| parts.is_empty() || parts.iter().any(|one| one == part));
    let mut kept = Kept::default();
    let mut rows = Vec::new();
    for part in wanted {
        let found = match part {
            "start" => local::start(rounds),
            "check" => local::check(rounds),
            "flip2" => flip::rows(2, rounds, &mut kept),
            "flip10" => flip::rows(10, rounds, &mut kept),
            "exec" => fleet::exec(rounds, &mut kept),
            "status" => fleet::status(rounds, &mut kept),
            "deploy" => deploy::rows(rounds, &mut kept),
            "requests" => serving::requests(),
            _ => serving::throughput(rounds),
        }?;
        found.iter().for_each(|row| println!("{}", row.markdown()));
        rows.extend(found);
    }
    let Some(document) = document else { return Ok(()) };
    write(document, &rows, &format!("{}; medians of {rounds} rounds.", machine()))
}

/// When and on what this runs, as far as it can be told.
fn machine() -> String {
    let value_of = |path: &str, key: &str| {
        let text = fs::read_to_string(path).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix(key)?.split_once(':'));
        line.map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
    };
    // Both say their version on standard error.
    let says = |program: &str, words: &[&str]| {
        let said = Command::new(program).args(words).output();
        let said = said.map(|it| [it.stdout, it.stderr].concat()).unwrap_or_default();
        String::from_utf8_lossy(&said).lines().next().unwrap_or_default().trim().to_owned()
    };
    let memory = value_of("/proc/meminfo", "MemTotal").trim_end_matches(" kB").parse::<u64>().unwrap_or_default();
    let ssh = says("ssh", &["-V"]);
    format!(
        "`make bench` on {}: {} processors ({}), {:.0} GiB, Linux {}, {}, {}",
        says("date", &["-u", "+%F"]),
        std::thread::available_parallelism().map_or(0, usize::from),
        value_of("/proc/cpuinfo", "model name"),
        memory as f64 / 1024.0 / 1024.0,
        fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim(),
        ssh.split(',').next().unwrap_or_default(),
        says("nginx", &["-v"]).trim_start_matches("nginx version: "),
    )
}

/// Replaces the table between the two marks.
fn write(document: &Path, rows: &[Row], by: &str) -> Result<()> {
    let io = |what| move |source| Error::Io { what, object: document.display().to_string(), source };
    let text = fs::read_to_string(document).map_err(io("cannot read"))?;
    let parts = text.split_once(BEGIN).and_then(|(head, rest)| Some((head, rest.split_once(END)?.1)));
    let Some((head, tail)) = parts else {
        return Err(Error::Unknown(format!("`{}` has no place for the table", document.display())));
    };
    let mut table =
        format!("\n{by}\n\n| what | against | measured: median (least–most) | ratio | aim |\n|---|---|---|---|---|\n");
    rows.iter().for_each(|row| table.push_str(&(row.markdown() + "\n")));
    fs::write(document, format!("{head}{BEGIN}{table}\n{END}{tail}")).map_err(io("cannot write"))
}

/// A plain ssh to a host of the playground.
fn ssh(site: &Playground, host: &str, line: &str) -> Command {
    let mut command = Command::new("ssh");
    command.arg("-F").arg(site.ssh_config()).args(["-o", "BatchMode=yes", host, line]);
    command
}

/// The playground's tests connect with the cheapest key exchange; people have OpenSSH's own choice.
fn usual_key_exchange(site: &Playground) -> Result<()> {
    let path = site.ssh_config();
    let io = |source| Error::Io { what: "cannot change", object: path.display().to_string(), source };
    let text = fs::read_to_string(&path).map_err(io)?;
    let lines: Vec<&str> = text.lines().filter(|line| !line.contains("KexAlgorithms")).collect();
    fs::write(&path, lines.join("\n") + "\n").map_err(|source| Error::Io {
        what: "cannot change",
        object: path.display().to_string(),
        source,
    })
}

/// Whether a program is on PATH; a tool that is not leaves its row out, which is said.
fn is_installed(program: &str) -> bool {
    let found = std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join(program).is_file()));
    if !found {
        eprintln!("  {program} is not installed, its row is left out");
    }
    found
}
