//! Pools that a command of the user's deploys: no artifact, and the marker as the only evidence.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use bg_playground::{Behaviour, Options, Playground, app_binary};

use super::{bg, release, says, serves, small, stage, state};

/// The user's own deployment: links the release that `dist` holds, restarts, and notes that it was called.
const SCRIPT: &str = r#"#!/bin/sh
set -eu
echo "$*" >>"$BG_HOST_DIR/calls"
test ! -e "$BG_HOST_DIR/refuse" || { echo "the registry does not answer"; exit 9; }
root=$BG_HOST_DIR/srv/web
mkdir -p "$root"
ln -sfn "$BG_HOST_DIR/../dist/web-$1" "$root/current"
exec BINARY restart --root "$root" --pool web --half "$2" --port "$3"
"#;

fn options() -> Options {
    small().each_pool(|pool| {
        let run = "\"sh \\\"$BG_HOST_DIR/../deploy.sh\\\" {{ release }} {{ half }} {{ port }}\"";
        let pool = pool.deploy("root", "").deploy("artifact", "").deploy("restart", "").deploy("keep", "");
        pool.deploy("run", run)
    })
}

fn site() -> Playground {
    let mut site = options().start().unwrap();
    let script = SCRIPT.replace("BINARY", &app_binary().unwrap().display().to_string());
    fs::write(site.dir().join("deploy.sh"), script).unwrap();
    site.setup("v1").unwrap().expect(0);
    site
}

/// What the script was called with on a host, call by call; forgotten afterwards.
fn calls(site: &Playground, host: &str) -> Vec<String> {
    let file = site.host(host).dir.join("calls");
    let text = fs::read_to_string(&file).unwrap_or_default();
    let _none = fs::remove_file(&file);
    let port = site.place(host).listen.port().to_string();
    text.lines().map(|line| line.trim_end_matches(&port).trim_end().to_owned()).collect()
}

#[test]
fn a_command_deploys_and_an_abort_runs_it_again_with_the_old_label() {
    let site = site();
    assert_eq!((calls(&site, "web1"), calls(&site, "web2")), (vec!["v1 blue".into()], vec!["v1 green".into()]));
    serves(&site, "both", "v1");
    let marker =
        site.host("web2").dir.join(format!("home/.bg/shop/web-{}/.bg/marker", site.place("web2").listen.port()));
    let home = marker.parent().unwrap().parent().unwrap();
    assert!(fs::read_to_string(&marker).unwrap().contains("\"release\":\"v1\""));
    assert_eq!(fs::metadata(home).unwrap().permissions().mode() & 0o022, 0);

    release(&site, "new", &Behaviour::default());
    bg(&site, "deploy --release new", 0);
    assert_eq!((calls(&site, "web1"), calls(&site, "web2")), (vec![], vec!["new green".to_owned()]));
    bg(&site, "flip", 0);
    bg(&site, "restore", 0);
    assert_eq!((calls(&site, "web1"), calls(&site, "web2")), (vec!["new blue".to_owned()], vec![]));
    serves(&site, "both", "new");

    release(&site, "next", &Behaviour::default());
    bg(&site, "deploy --release next", 0);
    bg(&site, "abort", 0);
    assert_eq!(calls(&site, "web2"), ["next green", "new green"]);
    serves(&site, "both", "new");
    let said = bg(&site, "deploy --artifact web=dist/web-new", 2);
    says(&said, &["the pool `web` is deployed by its `run` command"]);
}

#[test]
fn a_command_that_fails_is_quoted_and_claims_nothing() {
    let site = site();
    calls(&site, "web2");
    fs::write(site.host("web2").dir.join("refuse"), "").unwrap();
    let said = bg(&site, "deploy --release new", 4);
    says(&said, &["its command failed with status 9:\n  the registry does not answer", "Blue carries the site"]);
    assert_eq!((stage(&site), state(&site).green), ("isolated", None));
    // Nobody knows what the command did: it is called again even for the release of before.
    fs::remove_file(site.host("web2").dir.join("refuse")).unwrap();
    bg(&site, "abort", 0);
    assert_eq!(calls(&site, "web2"), ["new green", "v1 green"]);
    serves(&site, "both", "v1");
}
