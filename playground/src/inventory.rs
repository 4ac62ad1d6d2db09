//! The inventory that describes the playground to bg.

use std::fmt::Write as _;

use crate::layout::{Half, Layout, SITE};
use crate::nginx;
use crate::options::{Options, Pool, Settings};
use crate::programs::Programs;

/// The inventory's text.
pub(crate) fn text(layout: &Layout, options: &Options, programs: &Programs) -> String {
    let mut text = format!(
        "[site]\nname = \"{SITE}\"\njournal = \"file:.bg/{SITE}\"\n\n[ssh]\nconfig = \"ssh_config\"\n\n\
         [balancers]\nsudo = false\nhosts = [\n"
    );
    for balancer in &layout.balancers {
        let _ = writeln!(
            text,
            "  {{ host = \"{}\", address = \"{}\", dir = \"{}\", probe = {}, test = \"{}\", reload = \"{}\" }},",
            balancer.host.name,
            balancer.host.address,
            balancer.bg_dir.display(),
            balancer.probe,
            nginx::command(balancer, programs, "-t"),
            nginx::command(balancer, programs, "-s reload"),
        );
    }
    text.push_str("]\n");
    for pool in &options.pools {
        text.push_str(&pool_text(pool, layout, programs));
    }
    for (name, body) in &options.segments {
        let _ = write!(text, "\n[segments.{name}]\n{}\n", body.trim_end());
    }
    let _ = write!(text, "\n{}", options.inventory);
    text
}

fn pool_text(pool: &Pool, layout: &Layout, programs: &Programs) -> String {
    let name = &pool.name;
    let mine = || layout.places.iter().filter(|place| place.pool == *name);
    let port = mine().next().map_or(0, |place| place.listen.port());
    let half = |half: Half| {
        let places: Vec<String> = mine()
            .filter(|place| place.half == half)
            .map(|place| format!("{{ host = \"{}\", address = \"{}\" }}", place.host.name, place.listen.ip()))
            .collect();
        places.join(", ")
    };
    let dir = layout.dir.display();
    let binary = programs.playground.display();
    let defaults = [
        ("root", format!("\"{dir}/{{{{ host }}}}/srv/{name}\"")),
        ("artifact", "\"dist/{{ pool }}-{{ release }}\"".to_owned()),
        (
            "restart",
            format!(
                "\"{binary} restart --root {dir}/{{{{ host }}}}/srv/{name} --pool {{{{ pool }}}} --half {{{{ half }}}} \
                 --port {{{{ port }}}}\""
            ),
        ),
    ];
    let mut deploy = Settings::default();
    for (key, value) in &defaults {
        deploy.set(key, value);
    }
    for (key, value) in &pool.deploy.0 {
        deploy.set(key, value);
    }
    let mut text =
        format!("\n[pools.{name}]\nport = {port}\nblue = [{}]\ngreen = [{}]\n", half(Half::Blue), half(Half::Green));
    for (table, settings) in
        [("upstream", &pool.upstream), ("drain", &pool.drain), ("deploy", &deploy), ("health", &pool.health)]
    {
        if settings.0.is_empty() {
            continue;
        }
        let _ = write!(text, "\n[pools.{name}.{table}]\n");
        for (key, value) in &settings.0 {
            let _ = writeln!(text, "{key} = {value}");
        }
    }
    text
}
