//! Moves the clock of a test, and runs what becomes due meanwhile.

use std::rc::Rc;
use std::time::Duration;

use bulkhead_types::Clock as _;

use crate::fault::{Fault, NO_END};
use crate::world::World;

/// The number of steps after which events that cause events are considered a loop.
pub(crate) const STEPS_MAX: u32 = 10_000;

/// See [`crate::Application::advance`].
#[track_caller]
pub(crate) fn advance(world: &Rc<World>, time: Duration, fault: Option<Fault>) {
    if fault == Some(Fault::Commit) {
        panic!("{NO_END}");
    }
    let target = world.clock.now() + time;
    let mut turns = 0;
    let moved = world.observe(format!("the clock moves by {time:?}"), fault, || {
        loop {
            let before = world.timers()?;
            let next = world.consume_due(fault == Some(Fault::Memory))?;
            let after = world.timers()?;
            for (service, kind, _) in before.difference(&after) {
                world.hits.event(service, kind);
            }
            match next {
                Some(next) if next <= target && turns < STEPS_MAX => {
                    turns += 1;
                    world.clock.move_to(next);
                }
                Some(next) if next <= target => {
                    return Err(format!(
                        "after {STEPS_MAX} times at which something was due there are still more"
                    ));
                }
                _ => break,
            }
        }
        world.clock.move_to(target);
        Ok(())
    });
    if let Err(why) = moved {
        world.fail(&why);
    }
}
