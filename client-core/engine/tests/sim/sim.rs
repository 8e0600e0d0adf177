//! One run: people, servers and a clock as values, and one seed that decides everything.
//!
//! `act` has what people do and what happens to them, `carry` what happens between people and servers, `oracle` what must
//! hold of it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use hushwire_engine::Store;
use hushwire_proto::ids::{AccountId, Seq, UnixMillis};

use crate::act::{Said, Wanted};
use crate::app::{App, CallFailed, GroupId, GroupLink, Input, Kept, Standing, Told, Who, Wish};
use crate::cast::{Begun, Cast, PEOPLE_MAX};
use crate::dice::Dice;
use crate::evil::Evil;
use crate::net::{Net, Parcel, What};
use crate::number;
use crate::oracle::{Broken, Oracle};
use crate::step::{LEAPS_MAX_MS, Step, pause};
use crate::weather::Weather;
use crate::world::servers::Caller;
use crate::world::{Mailbox, World, log};

/// Steps of one run, at most.
const STEPS_MAX: u64 = 260;

/// Things that may happen between two steps, or until everything has come to rest.
const HAPPENINGS_MAX: u32 = 100_000;

/// Lines of what happened last that are shown with what does not hold, unless `HUSHWIRE_SIM_LINES` says how many.
const LINES_SHOWN: usize = 60;

/// What a run is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Two at a time, and relays that are honest.
    Honest,
    /// The same in groups.
    Groups,
    /// Two at a time, and a relay that lies.
    Evil,
    /// Groups, and a relay that lies.
    EvilGroups,
}

impl Kind {
    pub(crate) fn has_groups(self) -> bool {
        matches!(self, Self::Groups | Self::EvilGroups)
    }

    pub(crate) fn is_evil(self) -> bool {
        matches!(self, Self::Evil | Self::EvilGroups)
    }
}

/// What one run was like.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Report {
    pub(crate) steps: u64,
    pub(crate) texts: u64,
    pub(crate) crashes: u64,
    pub(crate) undecryptable: u64,
    pub(crate) texts_in_groups: u64,
    /// What was said about messages.
    pub(crate) remarks: u64,
    /// Texts that disappear.
    pub(crate) fading: u64,
    pub(crate) groups: u64,
    pub(crate) gaps_in_groups: u64,
    /// What did not open in runs with groups, by reason.
    pub(crate) unopened: BTreeMap<String, u64>,
    /// Of everything that happened, and when.
    pub(crate) digest: u64,
}

impl Report {
    pub(crate) fn add(&mut self, other: &Self) {
        self.steps += other.steps;
        self.texts += other.texts;
        self.crashes += other.crashes;
        self.undecryptable += other.undecryptable;
        self.texts_in_groups += other.texts_in_groups;
        self.remarks += other.remarks;
        self.fading += other.fading;
        self.groups += other.groups;
        self.gaps_in_groups += other.gaps_in_groups;
        for (reason, times) in &other.unopened {
            *self.unopened.entry(reason.clone()).or_default() += times;
        }
        self.digest ^= other.digest;
    }
}

/// Somebody's machine.
pub(crate) struct Device {
    pub(crate) caller: Caller,
    /// While the program runs; else its database.
    pub(crate) app: Result<App, Option<Store>>,
    /// Counts how often it began.
    pub(crate) life: u64,
    /// By its own clock.
    pub(crate) wake: Option<UnixMillis>,
    /// By how much its clock is ahead.
    pub(crate) ahead: i64,
    pub(crate) offline_until: u64,
    /// Connected to the own relay, which has given out everything up to there.
    pub(crate) line: Option<Seq>,
}

pub(crate) struct Sim<'a> {
    pub(crate) world: &'a mut World,
    pub(crate) people: Vec<Device>,
    pub(crate) net: Net,
    pub(crate) dice: Dice,
    pub(crate) weather: Weather,
    pub(crate) oracle: Oracle,
    pub(crate) evil: Option<Evil>,
    pub(crate) now: u64,
    pub(crate) report: Report,
    accounts: Vec<AccountId>,
    pub(crate) copies: BTreeMap<Who, Mailbox>,
    pub(crate) leaps_left: u64,
    pub(crate) groups: Vec<GroupId>,
    pub(crate) links: Vec<GroupLink>,
    digest: DefaultHasher,
    trace: Option<&'a mut VecDeque<String>>,
    lines: usize,
}

/// A run of that seed.
pub(crate) fn run(cast: &mut Cast, seed: u64, kind: Kind) -> Result<Report, Broken> {
    begin(cast, seed, kind, None).run()
}

/// The same, with what happened last.
pub(crate) fn traced(cast: &mut Cast, seed: u64, kind: Kind, trace: &mut VecDeque<String>) -> Result<Report, Broken> {
    begin(cast, seed, kind, Some(trace)).run()
}

pub(crate) fn begin<'a>(cast: &'a mut Cast, seed: u64, kind: Kind, trace: Option<&'a mut VecDeque<String>>) -> Sim<'a> {
    let mut dice = Dice::seeded(seed);
    let people = *dice.pick(&[2, 3, 3, 3, PEOPLE_MAX]);
    let weather = Weather::drawn(&mut dice, kind);
    let Begun { world, people, accounts } = cast.begin(people, seed);
    let device = |(store, caller)| Device {
        caller,
        app: Err(Some(store)),
        life: 0,
        wake: None,
        ahead: 0,
        offline_until: 0,
        line: None,
    };
    let people: Vec<Device> = people.into_iter().map(device).collect();
    let evil = kind.is_evil().then(|| Evil::of(people.iter().map(|device| device.caller.mailbox).collect()));
    let mut sim = Sim {
        world,
        people,
        net: Net::default(),
        dice,
        weather,
        oracle: Oracle::new(kind.is_evil(), kind.has_groups()),
        evil,
        now: log::BEGIN.0,
        report: Report::default(),
        accounts,
        copies: BTreeMap::new(),
        leaps_left: LEAPS_MAX_MS,
        groups: Vec::new(),
        links: Vec::new(),
        digest: DefaultHasher::new(),
        trace,
        lines: number("HUSHWIRE_SIM_LINES").map_or(LINES_SHOWN, |lines| usize::try_from(lines).unwrap()),
    };
    for who in 0..sim.people.len() {
        sim.put(sim.now, who, What::Start);
    }
    sim
}

impl Sim<'_> {
    pub(crate) fn run(mut self) -> Result<Report, Broken> {
        if self.oracle.has_groups() {
            self.get_acquainted()?;
        }
        self.use_it()?;
        self.settle()?;
        self.judge()?;
        self.wait_long()?;
        self.last_words()?;
        self.report.undecryptable = self.oracle.undecryptable;
        self.report.groups = self.groups.len() as u64;
        self.report.gaps_in_groups = self.oracle.crowd.gaps();
        self.report.unopened.clone_from(&self.oracle.crowd.unopened);
        self.report.digest = self.digest.finish();
        Ok(self.report)
    }

    /// Most people know each other before they found groups.
    fn get_acquainted(&mut self) -> Result<(), Broken> {
        let weather = std::mem::replace(&mut self.weather, Weather::calm());
        self.rest()?;
        for who in 0..self.people.len() {
            for whom in 0..who {
                if self.dice.hits(800) {
                    self.wish(who, Wish::Add(whom))?;
                    self.wish(whom, Wish::Add(who))?;
                }
            }
        }
        self.rest()?;
        self.weather = weather;
        Ok(())
    }

    /// People do what they like, and things go wrong.
    pub(crate) fn use_it(&mut self) -> Result<(), Broken> {
        let steps = 20 + self.dice.below(STEPS_MAX - 20);
        self.report.steps = steps;
        for number in 0..steps {
            let step = Step::drawn(&mut self.dice, &self.weather.acts, self.people.len());
            self.note(|| format!("step {number}: {step:?}"));
            self.step(step)?;
            let until = self.now + pause(&mut self.dice);
            self.pass(until)?;
        }
        Ok(())
    }

    /// Nothing goes wrong any more, everybody is there, and time passes until nothing is left to be done.
    pub(crate) fn settle(&mut self) -> Result<(), Broken> {
        self.note(|| "from here on nothing goes wrong".to_owned());
        self.weather = Weather::calm();
        self.evil = None;
        self.net.heal();
        for who in 0..self.people.len() {
            self.people[who].offline_until = 0;
            self.hang_up(who);
            self.net.lose(who, 0, |what| matches!(what, What::Connect | What::Start));
            self.start(who)?;
        }
        self.rest()?;
        for who in 0..self.people.len() {
            for whom in 0..self.people.len() {
                if self.app(who).standing(whom) == Some(Standing::Request) {
                    self.wish(who, Wish::Accept(whom))?;
                }
            }
        }
        self.rest()
    }

    /// Everybody hears everybody again and says one more thing, which shows what was missing before it.
    fn last_words(&mut self) -> Result<(), Broken> {
        let pairs = || (0..self.people.len()).flat_map(|who| (0..self.people.len()).map(move |whom| (who, whom)));
        let pairs: Vec<(Who, Who)> = pairs().filter(|(who, whom)| who != whom).collect();
        for (who, whom) in &pairs {
            self.wish(*who, Wish::Add(*whom))?;
        }
        self.rest()?;
        for _ in 0..2 {
            for (who, whom) in &pairs {
                self.say(*who, *whom, 0)?;
            }
            for group in 0..self.groups.len() {
                for who in 0..self.people.len() {
                    self.say_in(who, group, 0)?;
                }
            }
            self.rest()?;
        }
        for (who, whom) in pairs {
            self.oracle.goes_on(who, whom)?;
        }
        self.verdict(true)?;
        self.fade()?;
        self.judge()
    }

    pub(crate) fn judge(&mut self) -> Result<(), Broken> {
        self.verdict(false)
    }

    fn verdict(&mut self, is_over: bool) -> Result<(), Broken> {
        let mut apps = Vec::new();
        for device in &mut self.people {
            let app = std::mem::replace(&mut device.app, Err(None));
            apps.push(app.map_err(|_| "a program does not run".to_owned())?);
        }
        let mut verdict = self.oracle.judge(&self.groups, &mut apps);
        if verdict.is_ok() && is_over {
            verdict = self.oracle.goes_on_in(&self.groups, &mut apps);
        }
        for (device, app) in self.people.iter_mut().zip(apps) {
            device.app = Ok(app);
        }
        verdict
    }

    /// What is due happens, until that time.
    fn pass(&mut self, until: u64) -> Result<(), Broken> {
        for _ in 0..HAPPENINGS_MAX {
            let Some(at) = self.next_at().filter(|at| *at <= until) else {
                self.now = self.now.max(until);
                return Ok(());
            };
            self.now = self.now.max(at);
            self.happen()?;
        }
        Err("somebody spins".to_owned())
    }

    /// When something is due.
    fn next_at(&self) -> Option<u64> {
        let wakes = (0..self.people.len()).filter_map(|who| self.wakes_at(who));
        wakes.chain(self.net.next_at()).min()
    }

    fn wakes_at(&self, who: Who) -> Option<u64> {
        let device = &self.people[who];
        device.wake.map(|wake| wake.0.saturating_add_signed(-device.ahead))
    }

    /// The one thing that is due first.
    fn happen(&mut self) -> Result<(), Broken> {
        if let Some(parcel) = self.net.take(self.now) {
            return self.arrive(parcel);
        }
        let due = |who: &Who| self.wakes_at(*who).is_some_and(|at| at <= self.now);
        if let Some(who) = (0..self.people.len()).find(due) {
            self.people[who].wake = None;
            self.tell(who, Input::Tick)?;
        }
        Ok(())
    }

    /// Time passes until nobody has anything to do.
    pub(crate) fn rest(&mut self) -> Result<(), Broken> {
        for _ in 0..HAPPENINGS_MAX {
            let busy: Vec<Who> = (0..self.people.len()).filter(|who| self.is_busy(*who)).collect();
            match self.next_at() {
                _ if busy.is_empty() && self.net.next_at().is_none() => return Ok(()),
                Some(at) => self.now = self.now.max(at),
                None => return Err(format!("{busy:?} have something to do, and wait for nothing")),
            }
            self.happen()?;
        }
        let busy: Vec<Who> = (0..self.people.len()).filter(|who| self.is_busy(*who)).collect();
        Err(format!("it does not come to rest: {busy:?} have something to do"))
    }

    fn is_busy(&mut self, who: Who) -> bool {
        // Looked at only when nothing is under way: until then it is not over anyhow.
        self.net.next_at().is_none() && self.app(who).has_work()
    }

    pub(crate) fn tell(&mut self, who: Who, input: Input) -> Result<(), Broken> {
        self.hand_over(who, input, None)
    }

    /// One input for the engine; then what it asked for goes out, unless the program dies before.
    pub(crate) fn hand_over(&mut self, who: Who, input: Input, said: Option<Said>) -> Result<(), Broken> {
        let clock = self.clock(who);
        let device = &mut self.people[who];
        let Ok(app) = &mut device.app else { return Ok(()) };
        let handled = app.handle(input, clock, &mut self.world.rng);
        device.wake = handled.wake.or(device.wake);
        match (said, handled.queued) {
            (Some(Said::To(to, text)), Some(kept)) => {
                self.oracle.said(who, to, text, kept);
                self.report.texts += 1;
            }
            (Some(Said::In(group, text)), Some(kept)) => {
                self.oracle.said_in(group, who, text, kept);
                self.report.texts_in_groups += 1;
            }
            (Some(Said::About(spot, name, remark)), _) if handled.done => {
                self.oracle.remarked(who, spot, name, remark)?;
                self.report.remarks += 1;
            }
            (Some(_) | None, _) => {}
        }
        if let Some(Kept { name, until: Some(until), .. }) = handled.queued {
            self.oracle.fates.fades(who, name, clock.0, until.0 - clock.0);
            self.report.fading += 1;
        }
        let gone = handled.told.iter().filter_map(|told| match told {
            Told::Gone(id) => Some(*id),
            _ => None,
        });
        self.oracle.fates.passes(who, clock.0, &gone.collect::<Vec<_>>())?;
        let founded = handled.group.filter(|group| !self.groups.contains(group));
        let told = handled.told.iter().filter_map(|told| match told {
            Told::Group(group) => Some(*group),
            _ => None,
        });
        let changed: BTreeSet<GroupId> = told.chain(handled.group).collect();
        for group in changed {
            let Ok(app) = &mut self.people[who].app else { continue };
            let seen = app.sees(group);
            self.note(|| format!("    {who} sees in {:02x?}: {:?}", &group.0[..2], seen.members.keys()));
            self.oracle.crowd.sees(group, who, seen);
        }
        founded.into_iter().for_each(|group| self.came_of(Wanted::Group(group)));
        handled.link.into_iter().for_each(|link| self.came_of(Wanted::Link(link)));
        self.note(|| format!("    {who} at {}: {} calls, told {:.200?}", clock.0, handled.calls.len(), handled.told));
        handled.refused.iter().for_each(|why| self.note(|| format!("    {who} is refused: {why}")));
        (who, clock.0, handled.calls.len(), handled.told.len()).hash(&mut self.digest);
        self.oracle.crowd.nobody_out_is_heard_or_hears(who, &handled.told)?;
        self.oracle.heard(who, &handled.told)?;
        let dies = self.dice.hits(self.weather.crash);
        let reached = if dies { self.dice.place(handled.calls.len() + 1) } else { handled.calls.len() };
        for (id, call) in handled.calls.into_iter().take(reached) {
            self.call(who, id, call);
        }
        if dies { self.crash(who) } else { Ok(()) }
    }

    /// The program dies and begins again.
    pub(crate) fn crash(&mut self, who: Who) -> Result<(), Broken> {
        self.note(|| format!("    {who} dies"));
        self.report.crashes += 1;
        self.stop(who);
        self.start(who)
    }

    /// What was on the wire may still arrive; nobody hears what comes of it.
    pub(crate) fn stop(&mut self, who: Who) {
        self.hang_up(who);
        let after = self.now + self.dice.below(2 * self.weather.slow_ms);
        self.net.lose(who, after, |what| matches!(what, What::Call { .. }));
        self.net.forget_turns(who);
        let device = &mut self.people[who];
        device.life += 1;
        device.wake = None;
        device.app = match std::mem::replace(&mut device.app, Err(None)) {
            Ok(app) => Err(Some(app.close())),
            Err(store) => Err(store),
        };
    }

    pub(crate) fn start(&mut self, who: Who) -> Result<(), Broken> {
        let device = &mut self.people[who];
        if let Err(store) = &mut device.app
            && let Some(store) = store.take()
        {
            device.app = Ok(App::open(store, &self.accounts));
        }
        if device.line.is_none() {
            self.put(self.now, who, What::Connect);
        }
        self.tell(who, Input::Tick)
    }

    fn app(&mut self, who: Who) -> &mut App {
        self.people[who].app.as_mut().expect("everybody's program runs")
    }

    pub(crate) fn put(&mut self, at: u64, who: Who, what: What) {
        let life = self.people[who].life;
        self.net.put(at, Parcel { who, life, what });
    }

    pub(crate) fn clock(&self, who: Who) -> UnixMillis {
        UnixMillis(self.now.saturating_add_signed(self.people[who].ahead))
    }

    pub(crate) fn note(&mut self, line: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            if trace.len() == self.lines {
                trace.pop_front();
            }
            trace.push_back(format!("{:>12} {}", self.now - log::BEGIN.0, line()));
        }
    }
}

/// Why a call has no reply.
pub(crate) fn unreachable() -> CallFailed {
    CallFailed::Unreachable("no answer".to_owned())
}
