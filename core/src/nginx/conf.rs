//! From the inventory to http.conf and server.conf of one balancer. They change only with the inventory, never in a rollout.

use sha2::{Digest, Sha256};
use tera::{Context, Kwargs, State, Tera, TeraResult};

use super::limits::{self, LimitError};
use super::quote;
use super::view::View;
use crate::hex::hex;
use crate::inventory::{Balancer, Inventory};

/// The file that the user includes at the http level.
pub const HTTP_CONF: &str = "http.conf";
/// The file that the user includes first in his server blocks.
pub const SERVER_CONF: &str = "server.conf";
/// The built-in templates, as (file name, text): what `bg init` writes into a folder of the user's.
pub const BUILTIN: [(&str, &str); 2] = [
    ("http.conf.tera", include_str!("../../../nginx-templates/http.conf.tera")),
    ("server.conf.tera", include_str!("../../../nginx-templates/server.conf.tera")),
];

/// The texts that http.conf and server.conf are rendered from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Templates {
    /// `http.conf.tera`.
    pub http: String,
    /// `server.conf.tera`.
    pub server: String,
}

impl Default for Templates {
    /// The built-in ones.
    fn default() -> Templates {
        Templates::new(BUILTIN[0].1, BUILTIN[1].1)
    }
}

impl Templates {
    /// Templates of the user's own.
    pub fn new(http: impl Into<String>, server: impl Into<String>) -> Templates {
        Templates { http: http.into(), server: server.into() }
    }
}

/// Why the files cannot be rendered.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// The template itself, or a value that it does not know; with tera's report of the place.
    #[error("the template `{name}` cannot be rendered: {report}")]
    Template {
        /// Its file name.
        name: &'static str,
        /// What tera says, over several lines.
        report: String,
    },
    /// A value that nginx cannot hold.
    #[error("{what}: {why}")]
    Value {
        /// Where it stands in the inventory, such as `` `user_agent` of segment `mobile` ``.
        what: String,
        /// What is wrong with it.
        why: LimitError,
    },
}

/// The two files of one balancer, each with a first line that names site and revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conf {
    /// `http.conf`.
    pub http: String,
    /// `server.conf`.
    pub server: String,
}

impl Conf {
    /// sha256 over both texts, lower-case hex. The revision is part of the texts: to ask whether an inventory changes what
    /// they say, render both sides under the same revision and compare these.
    pub fn digest(&self) -> String {
        let mut sha = Sha256::new();
        for text in [&self.http, &self.server] {
            sha.update((text.len() as u64).to_be_bytes());
            sha.update(text.as_bytes());
        }
        hex(&sha.finalize())
    }
}

/// What the first line of http.conf and server.conf names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirstLine {
    /// The site.
    pub site: String,
    /// The configuration revision.
    pub revision: u64,
}

impl std::fmt::Display for FirstLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "# bg: site {}, configuration revision {}", self.site, self.revision)
    }
}

/// Reads the first line of http.conf or server.conf; `None` when it is not one of bg's.
pub fn parse_first_line(text: &str) -> Option<FirstLine> {
    let (site, revision) = text.lines().next()?.strip_prefix("# bg: site ")?.split_once(", configuration revision ")?;
    let named = !site.is_empty() && site.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let revision = revision.parse().ok()?;
    named.then(|| FirstLine { site: site.to_owned(), revision })
}

/// http.conf and server.conf of `balancer` under configuration revision `revision`.
///
/// # Errors
/// When a template is broken or names a value that is not there, or the inventory holds what nginx cannot.
pub fn render(
    inventory: &Inventory,
    balancer: &Balancer,
    revision: u64,
    templates: &Templates,
) -> Result<Conf, RenderError> {
    let view = View::new(inventory, balancer, revision)?;
    let first = FirstLine { site: inventory.site.clone(), revision };
    let mut tera = Tera::default();
    tera.register_filter("quote", |value: &str, _: Kwargs, _: &State| -> TeraResult<String> {
        quote::literal(value).map_err(tera::Error::message)
    });
    tera.register_filter("regex_key", |value: &str, _: Kwargs, _: &State| -> TeraResult<String> {
        quote::regex_key(value).map_err(tera::Error::message)
    });
    let mut one = |name: &'static str, text: &str| {
        let rendered = tera
            .add_raw_template(name, text)
            .and_then(|()| Context::from_serialize(&view))
            .and_then(|context| tera.render(name, &context));
        match rendered {
            // bg's own line, whatever the template says: drift and reloads are judged by it.
            Ok(body) => Ok(format!("{first}\n{body}")),
            Err(error) => Err(RenderError::Template { name, report: error.to_string() }),
        }
    };
    Ok(Conf { http: one(BUILTIN[0].0, &templates.http)?, server: one(BUILTIN[1].0, &templates.server)? })
}

/// A whole nginx configuration of bg's own around two staged files, for `nginx -t` before they replace the running ones:
/// it works beside a running nginx (whose ports `nginx -t` may find taken) and for an ordinary user, because pid, logs and
/// temporary files lie in `scratch`, an existing private directory. All paths absolute.
///
/// # Errors
/// When a path holds what cannot stand bare in the configuration.
pub fn test_conf(
    inventory: &Inventory,
    balancer: &Balancer,
    http_conf: &str,
    server_conf: &str,
    scratch: &str,
) -> Result<String, RenderError> {
    for path in [http_conf, server_conf, scratch] {
        limits::path(path)
            .map_err(|why| RenderError::Value { what: "the place where files are tested".into(), why })?;
    }
    let site = &inventory.site;
    let temp = |kind: &str| format!("    {kind}_temp_path {scratch}/{kind};\n");
    let temps: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].into_iter().map(temp).collect();
    let location = |pool: &str| format!("        location /{pool}/ {{ proxy_pass http://${site}_{pool}; }}\n");
    let locations: String = inventory.pools.iter().map(|pool| location(&pool.name)).collect();
    Ok(format!(
        "# bg's own, only to test http.conf and server.conf of the site `{site}` before they are put in place.\n\
         pid {scratch}/nginx.pid;\nerror_log stderr;\nevents {{}}\nhttp {{\n    access_log off;\n{temps}    \
         include {http_conf};\n    server {{\n        listen 127.0.0.1:{};\n        server_name bg-{site}-test;\n        \
         include {server_conf};\n{locations}    }}\n}}\n",
        balancer.probe
    ))
}

#[cfg(test)]
#[path = "conf_tests.rs"]
mod tests;
