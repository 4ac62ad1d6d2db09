/// What goes back by itself: armed, fired at any time, confirmed, followed.
impl Site {
    /// A balancer's time is up.
    pub fn fire(&mut self, front: usize, order: usize) {
        let front = &mut self.fronts[front];
        let (n, back) = front.orders.remove(order);
        if front.current == n {
            front.current = n + 1;
            front.tree = back;
        }
    }

    /// What runs already is never armed.
    fn arm(&mut self, front: usize, n: u64, back: Tree) -> bool {
        let front = &mut self.fronts[front];
        if front.current >= n {
            return false;
        }
        let current = front.current;
        front.orders.retain(|(order, _)| *order > n || *order == current);
        front.orders.push((n, back));
        front.orders.sort_unstable();
        true
    }

    /// A commit that was to be armed, where it is not any more.
    fn lacks_order(&self, front: usize, n: u64, armed: bool, rules: Rules) -> bool {
        let front = &self.fronts[front];
        let has_order = front.orders.iter().any(|(order, _)| *order == n);
        rules.order && armed && front.current != n && !has_order
    }

    /// What every command does first: a balancer that went back by itself is recorded, and the others are to follow.
    fn sees_revert(&mut self, who: usize, seen: &State, rules: Rules) -> bool {
        let reverted = self.fronts.iter().any(|front| front.up && seen.reverted_by(front.current).is_some());
        if !reverted {
            return false;
        }
        match seen.follow(Vec::new(), "digest") {
            Ok(events) => {
                if self.append(who, events, rules) {
                    self.go(who, At::Start(0));
                }
            }
            Err(_) => self.operators[who] = None,
        }
        true
    }

    fn confirm(&mut self, who: usize, seen: &State, rules: Rules) {
        if seen.goes_on(&Command::Confirm) {
            return self.go(who, At::Resume);
        }
        let steps = plan(seen, &segments(), &Command::Confirm);
        let (Ok(steps), true) = (steps, seen.admits(&Command::Confirm)) else {
            self.operators[who] = None;
            return;
        };
        if self.append(who, seen.begin(&Command::Confirm, &steps, "digest"), rules) {
            self.go(who, At::Start(0));
        }
    }

    fn arm_part(&mut self, who: usize, seen: &State, index: usize, part: usize, rules: Rules) {
        let shift = seen.open.as_ref().and_then(|open| open.shift.as_ref());
        let shift = shift.and_then(|shift| Some((shift.generation?, Tree::of(&shift.back))));
        let Some((n, back)) = shift.filter(|_| part < self.fronts.len()) else {
            return self.done(who, index, rules);
        };
        if self.fronts[part].up && self.arm(part, n, back) {
            self.go(who, At::Act(index, part + 1));
        } else {
            self.fail(who, seen, index, Effect::Nothing, true, rules);
        }
    }

    /// One balancer after another is told to keep `n`; at the end all must have been.
    fn disarm_part(&mut self, who: usize, seen: &State, index: usize, part: usize, rules: Rules) {
        let Some(n) = seen.armed.as_ref().map(|armed| armed.generation) else {
            self.operators[who] = None;
            return;
        };
        if part < self.fronts.len() {
            let front = &mut self.fronts[part];
            if front.up {
                front.orders.retain(|(order, _)| *order != n);
                front.keeps = front.current == n;
            }
            return self.go(who, At::Act(index, part + 1));
        }
        let kept = |front: &Front| front.up && front.current == n && front.orders.iter().all(|(order, _)| *order != n);
        if self.fronts.iter().all(kept) {
            self.done(who, index, rules);
        } else {
            self.fail(who, seen, index, Effect::Open, true, rules);
        }
    }

    #[allow(clippy::too_many_arguments)]
    fn follow_part(&mut self, who: usize, seen: &State, index: usize, part: usize, n: u64, tree: Tree, rules: Rules) {
        if part < self.fronts.len() {
            if self.fronts[part].up {
                self.commit(part, n, tree, rules);
            }
            return self.go(who, At::Act(index, part + 1));
        }
        if self.fronts.iter().all(|front| front.up && front.current == n && front.tree == tree) {
            self.done(who, index, rules);
        } else {
            self.fail(who, seen, index, Effect::Open, true, rules);
        }
    }

    /// Whether a balancer runs an armed shift for good that nobody has confirmed.
    pub fn stays_unconfirmed(&self) -> bool {
        let Some(armed) = &self.log.armed else { return false };
        let n = armed.generation;
        let due = |front: &Front| front.orders.iter().any(|(order, _)| *order == n);
        let stays = |front: &Front| front.current == n && !front.keeps && !due(front);
        self.fronts.iter().any(stays)
    }

    /// Whether the journal calls the traffic settled while some balancer would still go back by itself.
    pub fn may_surprise(&self) -> bool {
        let due = |front: &Front| front.orders.iter().any(|(order, _)| *order == front.current);
        self.log.open.is_none() && self.log.armed.is_none() && self.fronts.iter().any(due)
    }
}
