//! Every cell of the table of stages and commands, from the command line: what goes through says what it would do, what is
//! refused or done already touches nothing, and status shows the same.

use bg_playground::{Behaviour, Playground};
use serde_json::Value;

use crate::desk::{bg, impatient, json, small, status, untouched, world};

const STAGES: [&str; 6] = ["balanced", "isolated", "staged", "canary", "flipped", "restoring"];

/// In the order of the stages: `.` goes through, `r` is refused, `d` is done already.
const TABLE: [(&str, &str); 7] = [
    ("deploy --release v1", "....rr"),
    ("canary all=1%", "rr..rr"),
    ("canary off", "rdd.rr"),
    ("flip", "rr..dr"),
    ("flip --back", "rdd..r"),
    ("restore", "rrrr.."),
    ("abort", "r....."),
];

/// The row's name, as status and messages have it.
fn verb(words: &str) -> &str {
    words.split(" --release").next().unwrap().split(" all=").next().unwrap()
}

fn column(site: &Playground, stage: usize) {
    let seen = status(site);
    assert_eq!(seen["stage"], STAGES[stage], "{seen:#}");
    let cell = |row: &str| row.as_bytes()[stage];
    let through = TABLE.iter().filter(|(_, row)| cell(row) == b'.').map(|(words, _)| verb(words));
    assert_eq!(seen["next"], through.clone().collect::<Value>());
    has_its_shape(&seen);
    let before = world(site);
    for (words, row) in TABLE {
        match cell(row) {
            b'.' => {
                let ran = bg(site, &format!("{words} --dry-run"), 0);
                assert!(ran.stdout.contains("\n  1. ") && ran.stdout.contains("nothing was touched"), "{ran}");
                untouched(site, &before, &ran);
            }
            b'r' => {
                let said = json(site, words, 3);
                let (message, hint) = (said["message"].as_str().unwrap(), said["hint"].as_str().unwrap());
                assert!(message.contains(STAGES[stage]) && message.ends_with("Nothing was touched"), "{said}");
                // As it is typed: a canary needs shares.
                let typed = |verb: &str| format!("`bg {}`", if verb == "canary" { "canary all=5%" } else { verb });
                assert!(through.clone().all(|verb| hint.contains(&typed(verb))), "{said}");
                assert_eq!((&said["stage"], &said["rollout"]), (&seen["stage"], &seen["rollout"]), "{said}");
                untouched(site, &before, &said);
            }
            _ => {
                let ran = bg(site, words, 0);
                assert!(ran.stdout.contains(&format!("`{words}` was done already")), "{ran}");
                untouched(site, &before, &ran);
            }
        }
    }
    let ran = bg(site, "resume", 3);
    untouched(site, &before, &ran);
    let ran = bg(site, "setup --release v1", 0);
    assert!(ran.stdout.contains("done already"), "{ran}");
    untouched(site, &before, &ran);
}

/// The keys of the contract with their types.
fn has_its_shape(seen: &Value) {
    let keys = ["site", "inventory", "stage", "rollout", "releases", "traffic", "pools", "balancers", "lock", "frozen"];
    for key in keys.iter().chain(&["interrupted", "next"]) {
        assert!(seen.get(*key).is_some(), "`{key}` is missing: {seen:#}");
    }
    let is_balanced = seen["stage"] == "balanced";
    assert_eq!(seen["rollout"].is_null(), is_balanced, "{seen:#}");
    assert!(is_balanced || seen["rollout"].as_str().unwrap().starts_with('r'));
    assert_eq!(seen["traffic"]["mode"], if is_balanced { "both" } else { "split" });
    for share in seen["traffic"]["segments"].as_array().into_iter().flatten() {
        assert!(share["segment"].is_string() && share["green_percent"].is_f64(), "{seen:#}");
    }
    for half in ["blue", "green"] {
        assert!(seen["releases"].get(half).is_some());
        for place in seen["pools"]["web"][half].as_array().unwrap() {
            assert!(place["host"].is_string() && place["healthy"].is_boolean(), "{seen:#}");
            assert!(place["release"].is_string() || place["release"].is_null(), "{seen:#}");
        }
    }
    for balancer in seen["balancers"].as_array().unwrap() {
        assert!(balancer["generation"].is_u64() && balancer["host"].is_string(), "{seen:#}");
        assert_eq!(
            (&balancer["reachable"], &balancer["in_sync"]),
            (&Value::Bool(true), &Value::Bool(true)),
            "{seen:#}"
        );
    }
}

#[test]
fn every_cell_does_what_the_table_says() {
    let mut site = small().start().unwrap();
    site.setup("v1").unwrap().expect(0);
    column(&site, 0);
    site.artifact("web", "sick", &Behaviour { unhealthy: true, ..Behaviour::default() }).unwrap();
    impatient(&site, || bg(&site, "deploy --release sick", 4));
    column(&site, 1);
    site.release("v2").unwrap();
    bg(&site, "deploy --release v2", 0);
    column(&site, 2);
    bg(&site, "canary mobile=12.34%", 0);
    assert_eq!(status(&site)["traffic"]["segments"][0]["green_percent"], 12.34);
    column(&site, 3);
    bg(&site, "flip", 0);
    column(&site, 4);
    site.edit_inventory(|text| text.replace("restart = \"", "restart = \"false && ")).unwrap();
    bg(&site, "restore", 4);
    column(&site, 5);
    site.edit_inventory(|text| text.replace("restart = \"false && ", "restart = \"")).unwrap();
    bg(&site, "restore", 0);
    assert_eq!(json(&site, "sync", 0)["stage"], "balanced");
}
