//! Class 68, Arbitrator: several actors ask for actions, and weights decide.

use super::action::ActionItem;
use super::{Array, Zero};
use crate::axdr::BitString;

interface_class! {
    "Arbitrator" = 68, versions 0..=0, methods at 0x30;
    attributes {
        /// What can be asked for.
        2 Actions actions/set_actions, static: Array<'a, ActionItem>;
        /// Which actions an actor may ask for: a row for each actor, a bit for each action.
        3 Permissions permissions_table/set_permissions_table, static: Array<'a, BitString<'a>>;
        /// How much an actor's wish counts: a row for each actor, a weight for each action.
        4 Weightings weightings_table/set_weightings_table, static: Array<'a, Array<'a, u16>>;
        /// What each actor asked for last.
        5 MostRecentRequests most_recent_requests_table, dynamic: Array<'a, BitString<'a>>;
        /// Number of the action that was done last, counted from 1.
        6 LastOutcome last_outcome, dynamic: u8;
    }
    methods {
        /// Asks for actions in the name of an actor.
        1 RequestAction request_action: ActionRequest<'a>;
        /// Forgets all requests.
        2 Reset reset: Zero;
    }
}

structure! {
    /// What an actor asks for.
    ActionRequest<'a> "structure of actor and actions" {
        /// The actor, counted from 1.
        actor: u8,
        /// The actions, a bit for each; none takes the request back.
        actions: BitString<'a>,
    }
}
