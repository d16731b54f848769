//! What the machine does by itself: it boots, its agent asks who it is, calls, works, and dies.

use std::time::Duration;

use model::ProvisionState as S;
use provision::{AGENT_TOKEN, Input, expects_heartbeat, expects_lookup, give_token, take_heartbeat};
use serde_json::{Map, json};

use super::Life;
use crate::checker::Breach;
use crate::queue::Event;

/// How often an agent asks who it is before it gives up.
const LOOKUPS: u8 = 40;

impl Life<'_> {
    fn has_agent(&self, boot: u32) -> bool {
        self.machine.boots == boot && self.machine.agent.is_some()
    }

    /// The machine was switched on.
    pub(super) fn plan_boot(&mut self) {
        let firmware = if self.goes_wrong(700, "a machine that boots slowly") {
            self.dice.millis(600_000..1_300_000)
        } else {
            self.dice.millis(40_000..240_000)
        };
        self.plan(firmware, Event::Arrive(self.machine.boots));
    }

    pub(super) fn arrive(&mut self, boot: u32) {
        if self.machine.boots != boot || !self.machine.on {
            return;
        }
        if self.goes_wrong(1000, "a boot that was lost") {
            return;
        }
        self.machine.arrive(self.node.boot_intent);
        let what = if self.machine.agent.is_some() { "the ramdisk" } else { "its disk" };
        self.log.line(self.now, format_args!("machine: boot {boot} arrives in {what}"));
        if self.machine.agent.is_some() {
            let soon = self.dice.millis(1_000..20_000);
            self.plan(soon, Event::Lookup(boot, 0));
        }
    }

    /// The agent asks who it is, or reports what it found where that is what it was booted for.
    pub(super) fn look_up(&mut self, boot: u32, tries: u8) -> Result<(), Breach> {
        if !self.has_agent(boot) || tries >= LOOKUPS {
            return Ok(());
        }
        let again = self.dice.millis(10_000..40_000);
        let lost = self.goes_wrong(500, "a lookup that was lost");
        let Some(seat) = self.route().filter(|_| !lost) else {
            self.plan(again, Event::Lookup(boot, tries + 1));
            return Ok(());
        };
        let state = self.node.provision_state;
        if matches!(state, S::Inspecting | S::InspectWait) && self.flow.is_some() {
            if self.goes_wrong(500, "a report that was lost") {
                return Ok(());
            }
            return self.feed(seat, "inspected", Input::Inspected);
        }
        if !expects_lookup(state, self.policy.fast_track.is_some()) {
            self.plan(again, Event::Lookup(boot, tries + 1));
            return Ok(());
        }
        if self.node.driver_internal_info.get(AGENT_TOKEN).is_some() {
            // The mask is all that it gets: it can never call.
            self.log.line(self.now, format_args!("agent: boot {boot} gets no token"));
            return Ok(());
        }
        let number = self.number();
        let token = format!("token {number}");
        let told =
            self.turn(seat, "lookup", |node, flow, world| Ok(give_token(node, flow, &token, world)))?;
        if told.is_none() {
            self.plan(again, Event::Lookup(boot, tries + 1));
        } else if !self.goes_wrong(700, "a token that was lost") {
            self.token = Some((boot, number));
            let soon = self.dice.millis(100..3_000);
            self.plan(soon, Event::Heartbeat(boot));
        }
        Ok(())
    }

    /// The agent calls, and will call again.
    pub(super) fn heartbeat(&mut self, boot: u32) {
        if !self.has_agent(boot) {
            return;
        }
        self.call();
        let next = self.dice.millis(60_000..120_000);
        self.plan(next, Event::Heartbeat(boot));
    }

    /// One call, which may be lost, late, or arrive twice.
    fn call(&mut self) {
        let Some((_, token)) = self.token.filter(|(boot, _)| self.has_agent(*boot)) else { return };
        if self.goes_wrong(2000, "a heartbeat that was lost") {
            return;
        }
        let mut soon = self.dice.millis(1..200);
        if self.goes_wrong(1000, "a heartbeat that was late") {
            soon = self.dice.millis(1_000..240_000);
        }
        self.plan(soon, Event::Call(token));
        if self.goes_wrong(1000, "a heartbeat that came twice") {
            let soon = self.dice.millis(1..5_000);
            self.plan(soon, Event::Call(token));
        }
    }

    pub(super) fn take_call(&mut self, token: u32) -> Result<(), Breach> {
        let Some(seat) = self.route() else { return Ok(()) };
        let known = self.node.driver_internal_info.get_str(AGENT_TOKEN);
        if known.as_deref() != Some(format!("token {token}").as_str()) {
            self.tally.conductor("heartbeats refused for their token");
            return Ok(());
        }
        if !expects_heartbeat(self.node.provision_state, self.policy.fast_track.is_some()) {
            return Ok(());
        }
        if self.crashes(100) {
            return self.crash(seat);
        }
        let members = Map::from_iter([
            ("agent_url".to_owned(), json!(format!("https://agent/{token}"))),
            ("agent_last_heartbeat".to_owned(), json!(self.now.to_string())),
        ]);
        self.turn(seat, "heartbeat", |node, flow, world| Ok(take_heartbeat(node, flow, members, world)))
            .map(drop)
    }

    /// The agent was told a step.
    pub(super) fn plan_command(&mut self) {
        let boot = self.machine.boots;
        let long = self.dice.permille(50);
        let time = self.dice.millis(if long { 600_000..14_400_000 } else { 500..600_000 });
        if self.goes_wrong(1000, "an agent that died at work") {
            let when = self.within_work(time);
            let anew = self.dice.permille(500);
            self.plan(when, Event::AgentDies(boot, anew));
        }
        if !self.goes_wrong(200, "an agent that worked for ever") {
            self.plan(time, Event::CommandEnds(boot));
        }
    }

    fn within_work(&mut self, time: Duration) -> Duration {
        self.dice.millis(0..u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
    }

    pub(super) fn end_command(&mut self, boot: u32) {
        if !self.has_agent(boot) {
            return;
        }
        let failed = self.goes_wrong(1000, "a step that failed");
        self.machine.end_command(!failed);
        self.log.line(self.now, format_args!("agent: its step ends"));
        // It says so at once.
        self.call();
    }

    /// The machine hangs, or starts anew by itself: from the network only where its firmware always does.
    pub(super) fn agent_dies(&mut self, boot: u32, anew: bool) {
        if !self.has_agent(boot) {
            return;
        }
        self.log.line(self.now, format_args!("agent: boot {boot} dies"));
        self.machine.agent = None;
        if anew {
            self.machine.power_off();
            self.machine.network_boot = self.dice.permille(500);
            self.machine.power_on(self.node.boot_intent);
            self.plan_boot();
        }
    }
}
