//! What may be asked of targets and done on them: four closed vocabularies, one for each kind of target.
//!
//! A question or an action is declared once, in the module of the target that it belongs to, with its fields, its answer,
//! the most time that it may take, and the words that people see. A question to one kind of target cannot be put to
//! another, an answer can only be made by the question that it answers, and whoever answers a vocabulary matches all of it:
//! what lacks an answer does not compile.

#[macro_use]
mod vocabulary;

pub mod bmc;
pub mod cluster;
pub mod controller;
mod job;
pub mod node;
mod old_words;
mod states;
pub mod world;

use std::fmt::{Debug, Display, Formatter};
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use self::job::Job;
pub use self::old_words::OldWords;
pub use self::states::{
    CloudInitState, DiskState, FieldConflict, Fields, FileState, FlashFailure, FlashJobState, FlashMarkState,
    FlashPhase, ForeseenState, JobPhase, JobStatus, K3sRole, K3sState, KnownHostsState, KubeNodeState, KubeconfigState,
    ObjectId, ObjectState, ReleaseState, RememberedState, SdCardState, SealedKeysBackupState, SealedKeysState,
    SystemState, UnitState, UpgradeState,
};
use crate::contract::world::{Speaks, World};
use crate::ids::{BoardName, NodeName, Target};
use crate::text::secret::Secret;

/// The controller, as somebody to ask and to order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Controller;

/// The cluster, as somebody to ask and to order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Cluster;

/// Somebody to ask and to order, with the vocabulary of its kind.
pub trait Contract: Clone + Ord + Debug + Send + Sync + 'static {
    /// Any question to it.
    type Question: Question<Of = Self, Answer = Self::Answer>;
    /// Any answer of it.
    type Answer: Clone + PartialEq + Debug + Send + Sync;
    /// Any action on it.
    type Action: Action<On = Self>;
    /// Any action on it, as events tell of it.
    type Outline: Into<ActionOutline>;

    /// It, among all targets.
    fn target(&self) -> Target;

    /// A question, addressed to it.
    fn asks(&self, question: impl Into<Self::Question>) -> Asked;

    /// What is asked, if it is asked of this one.
    fn asked(&self, asked: Asked) -> Option<Self::Question>;

    /// An answer of it, among all answers.
    fn answered(answer: Self::Answer) -> Answered;

    /// An answer of it, if it is one.
    fn answer(answered: Answered) -> Option<Self::Answer>;

    /// The part of a world that speaks to it.
    fn part(world: &dyn World) -> &dyn Speaks<Self>;
}

/// A question.
pub trait Question: Into<<Self::Of as Contract>::Question> + Clone + Ord + Debug + Display + Send + Sync {
    /// Who is asked.
    type Of: Contract;
    /// What is answered.
    type Answer;

    /// The most time that the answer may take.
    fn bound(&self) -> Duration;

    /// Whether its answer may be kept for those who ask the same a moment later.
    fn is_kept(&self) -> bool;

    /// Takes its answer out of what came back; `None` if that answers another question.
    fn read(answer: <Self::Of as Contract>::Answer) -> Option<Self::Answer>;
}

/// An action.
///
/// Each can be tried twice: a lost connection leaves it open whether it happened, and whoever tries again looks first. Long
/// work is started here and watched by questions, so that it outlives us.
pub trait Action: Into<<Self::On as Contract>::Action> + Clone + Debug + Display + Send + Sync {
    /// Who acts.
    type On: Contract;

    /// The most time that it may take. Generous: a bound ends what hangs, it does not hurry what is slow.
    fn bound(&self) -> Duration;

    /// It as events tell of it.
    fn outline(&self) -> <Self::On as Contract>::Outline;

    /// What of it nobody may see, should whoever it is sent to say it again.
    fn secrets(&self) -> Vec<Secret>;
}

/// Ties each kind of target to its vocabulary.
macro_rules! contracts {
    ($($(#[$doc:meta])* $variant:ident($of:ty): $module:ident, |$self:ident| $target:expr;)+) => {
        /// A question and who is asked.
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
        pub enum Asked {
            $($(#[$doc])* $variant($of, $module::Question),)+
        }

        impl Asked {
            /// Who is asked.
            pub fn target(&self) -> Target {
                match self {
                    $(Self::$variant(of, _) => of.target(),)+
                }
            }
        }

        /// An answer and what kind of target gave it.
        #[derive(Clone, PartialEq, Debug)]
        pub enum Answered {
            $($(#[$doc])* $variant($module::Answer),)+
        }

        /// An action as events tell of it: on which kind of target, which, and what it acts on. Its words are those of the
        /// contract.
        #[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
        #[serde(tag = "on", rename_all = "snake_case")]
        pub enum ActionOutline {
            $($(#[$doc])* $variant($module::Outline),)+
            /// Words from a log of format 0.
            Words(OldWords),
        }

        impl Display for ActionOutline {
            fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
                match self {
                    $(Self::$variant(outline) => Display::fmt(outline, f),)+
                    Self::Words(words) => Display::fmt(words, f),
                }
            }
        }

        $(
            impl From<$module::Outline> for ActionOutline {
                fn from(outline: $module::Outline) -> Self {
                    Self::$variant(outline)
                }
            }

            impl Contract for $of {
                type Question = $module::Question;
                type Answer = $module::Answer;
                type Action = $module::Action;
                type Outline = $module::Outline;

                fn target(&self) -> Target {
                    let $self = self;
                    $target
                }

                fn asks(&self, question: impl Into<$module::Question>) -> Asked {
                    Asked::$variant(self.clone(), question.into())
                }

                fn asked(&self, asked: Asked) -> Option<$module::Question> {
                    match asked {
                        Asked::$variant(of, question) if of == *self => Some(question),
                        _ => None,
                    }
                }

                fn answered(answer: $module::Answer) -> Answered {
                    Answered::$variant(answer)
                }

                fn answer(answered: Answered) -> Option<$module::Answer> {
                    if let Answered::$variant(answer) = answered { Some(answer) } else { None }
                }

                fn part(world: &dyn World) -> &dyn Speaks<Self> {
                    world
                }
            }
        )+
    };
}

contracts! {
    /// The controller.
    Controller(Controller): controller, |_of| Target::Controller;
    /// A BMC.
    Bmc(BoardName): bmc, |board| Target::Bmc(board.clone());
    /// A node.
    Node(NodeName): node, |node| Target::Node(node.clone());
    /// The cluster.
    Cluster(Cluster): cluster, |_of| Target::Cluster;
}
