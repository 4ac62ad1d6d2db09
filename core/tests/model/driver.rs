/// One atomic action of an operator's command, as the engine and the edges do it.
impl Site {
    /// Advances operator `who`. `false` when it can only wait (a drain).
    pub fn advance(&mut self, who: usize, rules: Rules) -> bool {
        let Some(operator) = self.operators[who].clone() else { return false };
        match operator.at {
            At::Begin(_) | At::Resume | At::Confirm if self.sees_revert(who, &operator.seen, rules) => {}
            At::Begin(verb) => self.begin(who, &operator.seen, verb, rules),
            At::Confirm => self.confirm(who, &operator.seen, rules),
            At::Resume => match operator.seen.resume() {
                Some(Resume::PutBack(index)) => self.go(who, At::Undo(index, 0)),
                Some(Resume::From(index)) => self.go(who, At::Start(index)),
                None => self.operators[who] = None,
            },
            At::Start(index) => self.start(who, &operator.seen, index, rules),
            At::Act(index, part) => return self.act(who, &operator.seen, index, part, rules),
            At::Undo(index, front) => self.undo(who, &operator.seen, index, front, rules),
        }
        true
    }

    fn go(&mut self, who: usize, at: At) {
        if let Some(operator) = &mut self.operators[who] {
            operator.at = at;
        }
    }

    fn begin(&mut self, who: usize, seen: &State, verb: Verb, rules: Rules) {
        let command = command(verb, seen, self.reverts);
        if seen.goes_on(&command) {
            return self.go(who, At::Resume);
        }
        let steps = plan(seen, &segments(), &command);
        let (Ok(steps), true) = (steps, seen.admits(&command)) else {
            self.operators[who] = None;
            return;
        };
        if self.append(who, seen.begin(&command, &steps, "digest"), rules) {
            self.go(who, At::Start(0));
        }
    }

    fn start(&mut self, who: usize, seen: &State, index: usize, rules: Rules) {
        let Some(step) = seen.open.as_ref().and_then(|open| open.plan.steps.get(index)).map(|p| p.step.clone()) else {
            self.operators[who] = None;
            return;
        };
        let mut survey = Survey { highest: 0, settled: false };
        if let Step::Prepare { to, direction } = &step {
            if *direction == Direction::Forward && self.fronts.iter().any(|front| !front.up) {
                return self.fail(who, seen, index, Effect::Nothing, false, rules);
            }
            survey.settled = self.fronts.iter().all(|front| {
                front.up && front.tree == Tree::of(to) && Some(front.current) == seen.confirmed
            });
            survey.highest = self.fronts.iter().filter(|f| f.up).map(|f| f.current).max().unwrap_or(0);
        }
        let before = seen.before(index, survey);
        if self.append(who, vec![Event::StepStarted { step: index, before }], rules) {
            self.go(who, At::Act(index, 0));
        }
    }

    fn done(&mut self, who: usize, index: usize, rules: Rules) {
        let Some(seen) = self.operators[who].as_ref().map(|operator| operator.seen.clone()) else { return };
        let last = seen.open.as_ref().is_none_or(|open| index + 1 == open.plan.steps.len());
        if self.append(who, seen.finish(index, Vec::new()), rules) {
            if last {
                self.operators[who] = None;
            } else {
                self.go(who, At::Start(index + 1));
            }
        }
    }

    fn fail(&mut self, who: usize, seen: &State, index: usize, effect: Effect, started: bool, rules: Rules) {
        let failed = seen.failed(effect, started);
        let ended = Event::CommandEnded { done: false, why: None };
        let step = Event::StepFailed { step: index, why: String::new(), undoing: failed == Failed::PutBack };
        let events = match (failed, started) {
            (Failed::PutBack, _) => vec![step],
            (Failed::StaysOpen, true) => vec![step],
            (Failed::StaysOpen, false) => Vec::new(),
            (_, true) => vec![step, ended],
            (_, false) => vec![ended],
        };
        let appended = events.is_empty() || self.append(who, events, rules);
        if appended && failed == Failed::PutBack {
            self.go(who, At::Undo(index, 0));
        } else {
            self.operators[who] = None;
        }
    }

    fn act(&mut self, who: usize, seen: &State, index: usize, part: usize, rules: Rules) -> bool {
        let Some(step) = seen.open.as_ref().and_then(|open| open.plan.steps.get(index)).map(|p| p.step.clone()) else {
            self.operators[who] = None;
            return true;
        };
        let epoch = seen.epoch().n;
        let outcome = match &step {
            Step::Prepare { to, direction } => self.check_before(seen, to, *direction, epoch, rules),
            Step::Commit { to, direction } => return self.commit_part(who, seen, index, part, to, *direction, rules),
            Step::ArmRevert { .. } => {
                self.arm_part(who, seen, index, part, rules);
                return true;
            }
            Step::DisarmRevert => {
                self.disarm_part(who, seen, index, part, rules);
                return true;
            }
            Step::Follow { generation, to } => {
                self.follow_part(who, seen, index, part, *generation, Tree::of(to), rules);
                return true;
            }
            Step::Drain { half, release } => {
                if !self.guarded(seen, *half) {
                    Err(Effect::Open)
                } else if rules.drain && self.runs(*half) != Some(release.0) && self.servers[side(*half)].busy {
                    return false;
                } else {
                    Ok(())
                }
            }
            Step::Place { half, .. } => self.guarded(seen, *half).then_some(()).ok_or(Effect::Open),
            Step::Activate { half, release } => {
                if !self.guarded(seen, *half) {
                    Err(Effect::Open)
                } else if self.activate(*half, release.0, epoch, true, rules) {
                    Ok(())
                } else {
                    Err(Effect::Refused)
                }
            }
            Step::Check { half, release } => {
                if !self.raise(*half, epoch, rules) {
                    Err(Effect::Refused)
                } else if self.runs(*half) == Some(release.0) {
                    Ok(())
                } else {
                    Err(Effect::Unhealthy)
                }
            }
            _ => Ok(()),
        };
        match outcome {
            Ok(()) => self.done(who, index, rules),
            Err(effect) => self.fail(who, seen, index, effect, true, rules),
        }
        true
    }

    /// What runs on the half, when the marker agrees.
    fn runs(&self, half: Half) -> Option<u64> {
        let server = &self.servers[side(half)];
        server.running.filter(|running| server.marker == Some(*running))
    }

    /// The health beside the preparing, with the fence raised.
    fn check_before(
        &mut self,
        seen: &State,
        to: &Traffic,
        direction: Direction,
        epoch: u64,
        rules: Rules,
    ) -> Result<(), Effect> {
        let back = seen.open.as_ref().and_then(|open| open.shift.as_ref()).map(|shift| shift.back.clone());
        let halves = match to.only() {
            Some(half) => vec![half],
            None => receiving(&back.unwrap_or_else(|| seen.traffic.clone()), to),
        };
        for half in halves {
            let raised = self.raise(half, epoch, rules);
            let running = self.servers[side(half)].running;
            let healthy = match direction {
                Direction::Backward => running.is_some(),
                Direction::Forward => running.is_some() && seen.release(half).map(|v| v.0) == self.runs(half),
            };
            match direction {
                Direction::Forward if !raised => return Err(Effect::Refused),
                _ if !healthy => return Err(Effect::Unhealthy),
                _ => {}
            }
        }
        Ok(())
    }

    #[allow(clippy::too_many_arguments)]
    fn commit_part(
        &mut self,
        who: usize,
        seen: &State,
        index: usize,
        part: usize,
        to: &Traffic,
        direction: Direction,
        rules: Rules,
    ) -> bool {
        let n = seen.open.as_ref().and_then(|open| open.shift.as_ref()).and_then(|shift| shift.generation);
        if part < self.fronts.len() {
            let reached = self.fronts[part].up
                && n.is_none_or(|n| {
                    !self.lacks_order(part, n, seen.armed.is_some(), rules)
                        && self.commit(part, n, Tree::of(to), rules)
                });
            if !reached && direction == Direction::Forward {
                self.fail(who, seen, index, Effect::Nothing, true, rules);
            } else {
                self.go(who, At::Act(index, part + 1));
            }
            return true;
        }
        // Confirmed by the workers of every balancer.
        let wanted = n.or(seen.confirmed);
        let all = self.fronts.iter().all(|f| f.up && Some(f.current) == wanted && f.tree == Tree::of(to));
        match (all, direction) {
            (true, _) => self.done(who, index, rules),
            (false, Direction::Forward) => self.fail(who, seen, index, Effect::Nothing, true, rules),
            (false, Direction::Backward) => self.fail(who, seen, index, Effect::Open, true, rules),
        }
        true
    }

    fn undo(&mut self, who: usize, seen: &State, index: usize, part: usize, rules: Rules) {
        let Some(shift) = seen.open.as_ref().and_then(|open| open.shift.clone()) else {
            self.operators[who] = None;
            return;
        };
        let (n, tree) = (shift.generation.map(|n| n + 1), Tree::of(&shift.back));
        if part < self.fronts.len() {
            if let (Some(n), true) = (n, self.fronts[part].up) {
                self.commit(part, n, tree, rules);
            }
            return self.go(who, At::Undo(index, part + 1));
        }
        let all = n.is_none_or(|n| self.fronts.iter().all(|f| f.up && f.current == n && f.tree == tree));
        let events = if all {
            vec![Event::Undone { step: index }, Event::CommandEnded { done: false, why: None }]
        } else {
            vec![Event::UndoFailed { step: index, hosts: Vec::new() }]
        };
        self.append(who, events, rules);
        self.operators[who] = None;
    }

    /// What operator `who` is about to send, when it dies while sending it.
    pub fn sending(&self, who: usize) -> Option<Late> {
        let operator = self.operators[who].as_ref()?;
        let open = operator.seen.open.as_ref()?;
        let shift = open.shift.as_ref();
        match operator.at {
            At::Act(index, part) => match &open.plan.steps.get(index)?.step {
                Step::Commit { to, .. } if part < self.fronts.len() => {
                    let armed = operator.seen.armed.is_some();
                    Some(Late::Commit { front: part, n: shift?.generation?, tree: Tree::of(to), armed })
                }
                Step::ArmRevert { .. } if part < self.fronts.len() => {
                    let shift = shift?;
                    Some(Late::Arm { front: part, n: shift.generation?, back: Tree::of(&shift.back) })
                }
                Step::Activate { half, release } => {
                    Some(Late::Activate { half: *half, release: release.0, epoch: operator.seen.epoch().n })
                }
                _ => None,
            },
            At::Undo(_, part) if part < self.fronts.len() => {
                let shift = shift?;
                Some(Late::Commit { front: part, n: shift.generation? + 1, tree: Tree::of(&shift.back), armed: false })
            }
            _ => None,
        }
    }

    /// A message of a dead command arrives; it is fenced like any other.
    pub fn deliver(&mut self, whole: bool, rules: Rules) {
        match self.late.take() {
            Some(Late::Commit { front, n, armed, .. }) if self.lacks_order(front, n, armed, rules) => {}
            Some(Late::Commit { front, n, tree, .. }) => {
                self.commit(front, n, tree, rules);
            }
            Some(Late::Arm { front, n, back }) => {
                self.arm(front, n, back);
            }
            Some(Late::Activate { half, release, epoch }) => {
                self.activate(half, release, epoch, whole, rules);
            }
            None => {}
        }
    }

    /// Whether some command leads back to balanced from here, when nothing else goes wrong.
    pub fn leads_back(&self) -> bool {
        let mut site = self.calm();
        for _ in 0..6 {
            if site.log.open.is_none() && site.log.stage == Some(Stage::Balanced) {
                return site.fronts.iter().all(|front| front.tree == Tree::Both);
            }
            site.command(Verb::Abort);
        }
        false
    }

    /// Whether `flip --back` ends what was interrupted, with all traffic on blue, wherever blue serves the old release.
    pub fn way_back_is_open(&self) -> bool {
        let is_refused = matches!(self.log.stage, None | Some(Stage::Balanced | Stage::Restoring));
        let is_aborting = self.log.stage != Some(Stage::Isolated) && !self.log.green_is_new();
        if self.log.open.is_none() || is_refused || is_aborting {
            return true;
        }
        let mut site = self.calm();
        // One that went back by itself is recorded first, and the others follow.
        for _ in 0..2 {
            site.command(Verb::FlipBack);
            let is_blue = site.fronts.iter().all(|front| front.tree == Tree::Blue);
            if site.log.open.is_none() && is_blue {
                return matches!(site.log.stage, Some(Stage::Isolated | Stage::Staged));
            }
        }
        false
    }

    /// The same site with one operator, and nothing that goes wrong any more.
    fn calm(&self) -> Site {
        let mut site = self.clone();
        site.operators = vec![None];
        site.late = None;
        site.fronts.iter_mut().for_each(|front| front.up = true);
        site.servers.iter_mut().for_each(|server| server.busy = false);
        site
    }

    /// A command of the only operator, to its end.
    fn command(&mut self, verb: Verb) {
        self.operators[0] = Some(Operator { seen: self.log.clone(), at: At::Begin(verb) });
        for _ in 0..100 {
            if self.operators[0].is_none() {
                break;
            }
            self.advance(0, Rules::ALL);
        }
    }
}
