/// Numbers that only grow (generations, epochs, releases) count by their order alone, or the model would never close.
struct Ranks(Vec<u64>);

impl Ranks {
    fn of(numbers: impl IntoIterator<Item = u64>) -> Ranks {
        let mut numbers: Vec<u64> = numbers.into_iter().collect();
        numbers.sort_unstable();
        numbers.dedup();
        Ranks(numbers)
    }

    fn rank(&self, number: u64) -> usize {
        self.0.binary_search(&number).unwrap_or(usize::MAX)
    }

    fn maybe(&self, number: Option<u64>) -> Option<usize> {
        number.map(|number| self.rank(number))
    }
}

impl Site {
    fn states(&self) -> Vec<&State> {
        let seen = self.operators.iter().flatten().map(|operator| &*operator.seen);
        std::iter::once(&*self.log).chain(seen).collect()
    }

    fn generations(&self) -> Ranks {
        let of_states = self.states().into_iter().flat_map(|state| {
            let open = state.open.as_ref();
            let shift = open.and_then(|open| open.shift.as_ref()).and_then(|shift| shift.generation);
            let step = open.and_then(|open| open.step.as_ref()).and_then(|step| step.before.generation);
            let armed = state.armed.as_ref().map(|armed| armed.generation);
            let follow = open.and_then(|open| match open.plan.steps.first()?.step {
                Step::Follow { generation, .. } => Some(generation),
                _ => None,
            });
            let back = [shift.map(|n| n + 1), armed.map(|n| n + 1)];
            [Some(state.generation), state.confirmed, shift, back[0], step, armed, back[1], follow]
        });
        let of_fronts = self.fronts.iter().map(|front| Some(front.current));
        let of_orders = self.fronts.iter().flat_map(|front| &front.orders).flat_map(|(n, _)| [Some(*n), Some(n + 1)]);
        let of_late = match self.late {
            Some(Late::Commit { n, .. }) => [Some(n), None],
            Some(Late::Arm { n, .. }) => [Some(n), Some(n + 1)],
            _ => [None, None],
        };
        Ranks::of(of_states.chain(of_fronts).chain(of_orders).chain(of_late).flatten())
    }

    fn epochs(&self) -> Ranks {
        let of_states = self.states().into_iter().flat_map(|state| {
            let step = state.open.as_ref().and_then(|open| open.step.as_ref()).map(|step| step.epoch);
            [Some(state.length), step]
        });
        let of_servers = self.servers.iter().map(|server| Some(server.fence));
        let of_late = match self.late {
            Some(Late::Activate { epoch, .. }) => Some(epoch),
            _ => None,
        };
        Ranks::of(of_states.chain(of_servers).chain([of_late]).flatten())
    }

    fn versions(&self) -> Ranks {
        let of_states = self.states().into_iter().flat_map(|state| {
            let rollout = state.rollout.as_ref();
            let planned = state.open.as_ref().and_then(|open| open.command.version());
            [state.blue, state.green, rollout.map(|r| r.from), rollout.map(|r| r.to), planned]
        });
        let of_servers = self.servers.iter().flat_map(|server| [server.marker, server.running]);
        let of_late = match self.late {
            Some(Late::Activate { release, .. }) => Some(release),
            _ => None,
        };
        Ranks::of(of_states.map(|v| v.map(|v| v.0)).chain(of_servers).chain([of_late]).flatten())
    }
}

fn hash_state(state: &State, (gens, epochs, versions): &(Ranks, Ranks, Ranks), to: &mut impl Hasher) {
    let version = |v: Option<Version>| versions.maybe(v.map(|v| v.0));
    (state.stage, version(state.blue), version(state.green), Tree::of(&state.traffic)).hash(to);
    (gens.rank(state.generation), gens.maybe(state.confirmed), state.unsettled, epochs.rank(state.length)).hash(to);
    state.rollout.as_ref().map(|r| (version(Some(r.from)), version(Some(r.to)))).hash(to);
    let armed = state.armed.as_ref();
    armed.map(|armed| (gens.rank(armed.generation), Tree::of(&armed.back), armed.stage)).hash(to);
    let Some(open) = &state.open else { return false.hash(to) };
    (open.command.verb(), version(open.command.version()), open.done, open.stage_before).hash(to);
    open.plan.steps.len().hash(to);
    for planned in &open.plan.steps {
        (planned.step.name(), planned.enters, planned.reaches).hash(to);
        match &planned.step {
            Step::Prepare { to: traffic, direction } | Step::Commit { to: traffic, direction } => {
                (Tree::of(traffic), *direction).hash(to);
            }
            Step::Follow { generation, to: traffic } => (gens.rank(*generation), Tree::of(traffic)).hash(to),
            Step::Drain { half, release }
            | Step::Place { half, release }
            | Step::Activate { half, release }
            | Step::Check { half, release } => (*half, version(Some(*release))).hash(to),
            _ => {}
        }
    }
    open.step.as_ref().map(|s| (s.index, epochs.rank(s.epoch), s.undoing, gens.maybe(s.before.generation))).hash(to);
    let shift = open.shift.as_ref();
    shift.map(|s| (s.prepare, gens.maybe(s.generation), Tree::of(&s.back), s.arming.is_some())).hash(to);
}

impl Hash for Site {
    fn hash<H: Hasher>(&self, to: &mut H) {
        let ranks = (self.generations(), self.epochs(), self.versions());
        hash_state(&self.log, &ranks, to);
        for operator in &self.operators {
            let Some(operator) = operator else {
                false.hash(to);
                continue;
            };
            operator.at.hash(to);
            // Whoever has read the newest journal knows what it says.
            let fresh = operator.seen.length == self.log.length;
            fresh.hash(to);
            if !fresh {
                hash_state(&operator.seen, &ranks, to);
            }
        }
        let (gens, epochs, versions) = &ranks;
        for front in &self.fronts {
            (gens.rank(front.current), front.tree, front.up, front.keeps).hash(to);
            front.orders.iter().for_each(|(n, back)| (gens.rank(*n), *back).hash(to));
            front.orders.len().hash(to);
        }
        for server in &self.servers {
            (epochs.rank(server.fence), server.busy).hash(to);
            (versions.maybe(server.marker), versions.maybe(server.running)).hash(to);
        }
        match self.late {
            Some(Late::Commit { front, n, tree, armed }) => (1, front, gens.rank(n), tree, armed).hash(to),
            Some(Late::Arm { front, n, back }) => (3, front, gens.rank(n), back).hash(to),
            Some(Late::Activate { half, release, epoch }) => {
                (2, half, versions.rank(release), epochs.rank(epoch)).hash(to);
            }
            None => 0.hash(to),
        }
        (self.crashes, self.cuts, self.broken).hash(to);
    }
}

impl PartialEq for Site {
    fn eq(&self, other: &Site) -> bool {
        use std::collections::hash_map::DefaultHasher;
        let fingerprint = |site: &Site| {
            let mut hasher = DefaultHasher::new();
            site.hash(&mut hasher);
            hasher.finish()
        };
        fingerprint(self) == fingerprint(other)
    }
}
