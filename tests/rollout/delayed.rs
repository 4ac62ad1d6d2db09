//! A step of a dead command arrives late: after an abort, and after a resume. The fences refuse it.

use std::{fs, sync::Arc};

use bg_playground::{Half, Playground};
use bluegreen::edge::{
    artifact::pack,
    balancer::Balancers,
    host::{Hosts, SshSettings},
    server::{Bounds, Task, What, activate, place_release},
};
use bluegreen_core::{
    inventory::{Inventory, Words, parse},
    nginx::tree::tree,
    rollout::{Epoch, State, Step},
};

use crate::desk::{bg, kill_at, replayed, status, two_balancers, untouched, world};

/// What a dead command may still have had on its way: its step with its rights, as the journal has them.
struct Late {
    inventory: Arc<Inventory>,
    hosts: Hosts,
    state: State,
}

impl Late {
    fn after_kill(site: &Playground) -> Late {
        let text = fs::read_to_string(site.inventory_file()).unwrap();
        let inventory = Arc::new(parse("shop", "shop.toml", &text).unwrap_or_else(|error| panic!("{error:?}")));
        let hosts = Hosts::new(SshSettings { config: Some(site.ssh_config()), ..SshSettings::default() });
        let state = replayed(site).unwrap();
        Late { inventory, hosts, state }
    }

    /// Places and activates what the dead command was to bring to green, with its epoch.
    async fn upgrade(&self, site: &Playground) -> [What; 2] {
        let open = self.state.open.as_ref().unwrap();
        let epoch = Epoch { journal: self.state.journal.clone().unwrap(), n: open.step.as_ref().unwrap().epoch };
        let release = open.command.release().unwrap();
        let pool = &self.inventory.pools[0];
        let place = &pool.green[0];
        let words = Words {
            release: release.label.clone(),
            version: release.version.to_string(),
            site: self.inventory.site.clone(),
            pool: pool.name.clone(),
            half: "green".into(),
            host: place.host.clone(),
            port: place.port.to_string(),
        };
        let task = Task {
            site: &self.inventory.site,
            pool,
            place,
            epoch: &epoch,
            release,
            words: &words,
            bounds: Bounds::default(),
        };
        let packed = pack(site.dir().join("dist").join(format!("web-{}", release.label))).await.unwrap();
        let placed = place_release(&self.hosts, &task, Some(&packed), Arc::new(|_, _| {})).await.unwrap_err();
        let activated = activate(&self.hosts, &task, true).await.unwrap_err();
        self.hosts.close().await;
        [placed.what, activated.what]
    }

    /// Switches both balancers to what the dead command had prepared.
    async fn commit(&self) {
        let open = self.state.open.as_ref().unwrap();
        let Step::Commit { to, .. } = &open.at().unwrap().step else { panic!("{open:?}") };
        let n = open.shift.as_ref().unwrap().generation.unwrap();
        let journal = self.state.journal.as_ref().unwrap();
        let balancers = Balancers::new(self.inventory.clone(), self.hosts.clone());
        for (host, result) in balancers.commit_all(n, journal, &tree(to).hash()).await {
            assert!(result.unwrap_err().fenced_by().is_some_and(|now| now > n), "{host}");
        }
        self.hosts.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_upload_and_restart_are_refused_after_an_abort_and_after_a_resume() {
    let mut site = two_balancers().start().unwrap();
    site.setup("v1").unwrap().expect(0);
    site.release("v2").unwrap();
    for (way_on, served) in [("abort", "v1"), ("resume", "v2")] {
        kill_at(&site, "deploy --release v2", 4);
        let late = Late::after_kill(&site);
        bg(&site, way_on, 0);
        let ran = bg(&site, if way_on == "abort" { "status" } else { "flip" }, 0);
        let (before, pid) = (world(&site), site.app_pid("web2"));
        for what in late.upgrade(&site).await {
            assert!(matches!(what, What::Fenced { .. }), "{way_on}: {what:?}");
        }
        untouched(&site, &before, &ran);
        assert_eq!(site.app_pid("web2"), pid, "nothing was restarted");
        assert_eq!(site.ask("web2", "/").unwrap().release(), served);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_switch_is_refused_after_an_abort_a_resume_and_a_way_back() {
    let mut site = two_balancers().start().unwrap();
    site.setup("v1").unwrap().expect(0);
    for way_on in ["resume", "flip --back", "abort"] {
        if status(&site)["stage"] == "balanced" {
            bg(&site, "deploy --release v1", 0);
        }
        kill_at(&site, "flip", 1);
        let late = Late::after_kill(&site);
        bg(&site, way_on, 0);
        // Whatever stands now, a switch that was overtaken changes none of it.
        let ran = bg(&site, if way_on == "resume" { "flip --back" } else { "status" }, 0);
        let before = world(&site);
        late.commit().await;
        untouched(&site, &before, &ran);
        let wanted = if way_on == "abort" { None } else { Some(Half::Blue) };
        let by = site.get("lb1", "/", "late").unwrap();
        assert!(wanted.is_none_or(|half| by.half() == half.name()), "{way_on}");
    }
}
