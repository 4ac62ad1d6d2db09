use std::ffi::OsString;

use super::*;

fn parsed(line: &str) -> Result<Cli, clap::Error> {
    let words: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
    Cli::try_parse_from(with_durations(&words))
}

#[test]
fn wait_takes_a_duration_and_nothing_else() {
    let wait = |line: &str| match parsed(line).unwrap().command {
        Cmd::Flip { change, .. } | Cmd::Canary { change, .. } | Cmd::Sync { change, .. } => change.wait,
        _ => None,
    };
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    assert_eq!(wait("bg flip"), None);
    assert_eq!(wait("bg flip --wait"), seconds(3_600));
    assert_eq!(wait("bg flip --wait --back"), seconds(3_600));
    assert_eq!(wait("bg flip --wait 10m --back"), seconds(600));
    assert_eq!(wait("bg flip --wait=90s"), seconds(90));
    assert_eq!(wait("bg canary --wait all=5%"), seconds(3_600));
    assert_eq!(wait("bg canary --wait 5m all=5%"), seconds(300));
    assert_eq!(wait("bg sync --wait 10.0.0.1"), seconds(3_600));
    for bad in ["bg flip --wait 10", "bg flip --wait 5d", "bg flip --wait=", "bg flip --wait 0s", "bg flip --wait soon"]
    {
        assert!(parsed(bad).is_err(), "{bad}");
    }
    assert!(parsed("bg deploy --skip-superseded").is_err());
    assert!(parsed("bg deploy --wait --skip-superseded").is_ok());
}

#[test]
fn exec_takes_a_duration_and_a_number_of_seconds() {
    let timeout = |value: &str| match parsed(&format!("bg exec web {value} -- true")).map(|cli| cli.command) {
        Ok(Cmd::Exec { timeout, .. }) => Some(timeout.as_secs()),
        _ => None,
    };
    assert_eq!(["", "--timeout 10", "--timeout 5m"].map(timeout), [3_600, 10, 300].map(Some));
    assert_eq!(["--timeout 0", "--timeout 8d", "--timeout 169h", "--timeout -1"].map(timeout), [None; 4]);
}

#[test]
fn what_exec_runs_is_left_as_it_is() {
    let Cmd::Exec { command, .. } = parsed("bg exec web -- sync --wait x").unwrap().command else { panic!() };
    assert_eq!(command, ["sync", "--wait", "x"]);
}

#[test]
fn help_is_wrapped_under_the_name_that_was_called() {
    for width in 40..120 {
        for one in command("bluegreen").get_subcommands().cloned() {
            let help = one.term_width(width).render_long_help().to_string();
            let words = help.split_whitespace().collect::<Vec<_>>().join(" ");
            // What the shell's own command is called is not ours to rename.
            let words = words.replace("own `bg` for jobs", "");
            assert!(!words.contains("`bg") && !words.contains(" bg "), "{width}: {help}");
        }
    }
}
