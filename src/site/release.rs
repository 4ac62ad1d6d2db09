//! A release is made: its label, and the content of every pool, inspected before anything is touched.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    process::Command as Process,
    sync::{Arc, PoisonError},
};

use bluegreen_core::{
    inventory::{Deploy, Pool, Words, fill},
    release::{Content, Release, Version, label_is_valid},
};

use super::{Asked, Refusal, Site};
use crate::{
    edge::artifact::{self, ArtifactError},
    engine::Outcome,
};

/// What the command line says about the release.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// `--release LABEL`.
    pub label: Option<String>,
    /// `--artifact POOL=PATH`, relative to where the command was typed.
    pub artifacts: Vec<(String, PathBuf)>,
}

impl Site {
    /// The same with the label that a deploy takes from git: as it is when the command is started, for others in the queue
    /// are told it.
    pub(super) fn labelled(&self, asked: Asked) -> Result<Asked, Outcome> {
        let Asked::Deploy(wanted, canary, revert_after_ms) = asked else { return Ok(asked) };
        let label = match wanted.label {
            Some(label) => Some(valid_label(label)?),
            None => git_describe(&self.base).filter(|label| label_is_valid(label)),
        };
        Ok(Asked::Deploy(Wanted { label, ..wanted }, canary, revert_after_ms))
    }

    /// The release `version` as it was asked for. Every artifact is read, inspected and packed here.
    pub(super) async fn make_release(&self, wanted: &Wanted, version: Version) -> Result<Release, Outcome> {
        let label = self.label(wanted.label.as_deref(), version)?;
        let given = self.given_artifacts(wanted)?;
        let mut release = Release { version, label, pools: Default::default() };
        for pool in &self.inventory.pools {
            let content = match &pool.deploy {
                Deploy::Run { .. } => Content::Command,
                Deploy::Unpack { artifact, .. } => {
                    let path = match given.get(pool.name.as_str()) {
                        Some(path) => self.cwd.join(path),
                        None => self.base.join(self.artifact_path(artifact, pool, &release)?),
                    };
                    self.pack(path).await.map_err(|error| {
                        let is_missing = matches!(error, ArtifactError::Missing { .. });
                        let is_other = is_missing && !given.contains_key(pool.name.as_str());
                        let builds = if is_other { self.builds(pool, &given, version) } else { Vec::new() };
                        Refusal::Artifact { pool: pool.name.clone(), error, builds }
                    })?
                }
            };
            release.pools.insert(pool.name.clone(), content);
        }
        Ok(release)
    }

    fn given_artifacts<'a>(&self, wanted: &'a Wanted) -> Result<HashMap<&'a str, &'a Path>, Outcome> {
        let mut given = HashMap::new();
        for (name, path) in &wanted.artifacts {
            let pool = self.inventory.pools.iter().find(|pool| &pool.name == name);
            let pool = pool.ok_or_else(|| {
                let known: Vec<&str> = self.inventory.pools.iter().map(|pool| pool.name.as_str()).collect();
                usage(format!("`--artifact {name}=…`: there is no pool `{name}`; there are {}", known.join(", ")))
            })?;
            if matches!(pool.deploy, Deploy::Run { .. }) {
                return Err(usage(format!(
                    "`--artifact {name}=…`: the pool `{name}` is deployed by its `run` command"
                )));
            }
            if given.insert(name.as_str(), path.as_path()).is_some() {
                return Err(usage(format!("`--artifact {name}=…` is given twice")));
            }
        }
        Ok(given)
    }

    /// The releases of which every artifact is there that was not given, the newest first by that of `pool`.
    fn builds(&self, pool: &Pool, given: &HashMap<&str, &Path>, version: Version) -> Vec<String> {
        let path_of = |pool: &Pool, label: &str| {
            let Deploy::Unpack { artifact, .. } = &pool.deploy else { return None };
            let release = Release { version, label: label.to_owned(), pools: Default::default() };
            Some(self.base.join(self.artifact_path(artifact, pool, &release).ok()?))
        };
        let asked = self.inventory.pools.iter().filter(|pool| !given.contains_key(pool.name.as_str()));
        let asked: Vec<&Pool> = asked.filter(|pool| matches!(pool.deploy, Deploy::Unpack { .. })).collect();
        let mut builds = artifact::builds(|label| path_of(pool, label));
        builds.retain(|label| asked.iter().all(|pool| path_of(pool, label).is_some_and(|path| path.exists())));
        builds
    }

    async fn pack(&self, path: PathBuf) -> Result<Content, ArtifactError> {
        // The journal names the artifact for a later resume, which may be called from anywhere.
        let path = std::path::absolute(&path).unwrap_or(path);
        let read = self.contents.lock().unwrap_or_else(PoisonError::into_inner).get(&path).cloned();
        if let Some(content) = read {
            return Ok(content);
        }
        let packed = artifact::pack(path.clone()).await?;
        let sha256 = packed.sha256.clone();
        self.world.packed.lock().await.insert(sha256.clone(), Arc::new(packed));
        let content = Content::Artifact { sha256, path: path.display().to_string() };
        self.contents.lock().unwrap_or_else(PoisonError::into_inner).insert(path, content.clone());
        Ok(content)
    }

    fn artifact_path(&self, artifact: &str, pool: &Pool, release: &Release) -> Result<String, Outcome> {
        let words = Words {
            release: release.label.clone(),
            version: release.version.to_string(),
            site: self.inventory.site.clone(),
            pool: pool.name.clone(),
            ..Words::default()
        };
        fill(artifact, &words).map_err(|why| usage(format!("pool `{}`: `artifact`: {why}", pool.name)))
    }

    /// `--release`, else what git says about the inventory's directory, else vN.
    fn label(&self, given: Option<&str>, version: Version) -> Result<String, Outcome> {
        if let Some(label) = given {
            return valid_label(label.to_owned());
        }
        Ok(git_describe(&self.base).filter(|label| label_is_valid(label)).unwrap_or_else(|| version.to_string()))
    }
}

fn valid_label(label: String) -> Result<String, Outcome> {
    if label_is_valid(&label) {
        return Ok(label);
    }
    Err(usage(format!(
        "`{label}` cannot name a release: letters and digits, then also `.`, `_`, `+` and `-`, at most 64"
    )))
}

fn usage(message: String) -> Outcome {
    Refusal::Usage(message).into()
}

fn git_describe(dir: &Path) -> Option<String> {
    let output = Process::new("git").args(["describe", "--always", "--dirty"]).current_dir(dir).output().ok()?;
    let label = String::from_utf8(output.stdout).ok()?.trim().replace('/', "-");
    (output.status.success() && !label.is_empty()).then_some(label)
}
