//! The macro that declares the vocabulary of one kind of target.

/// Declares what may be asked of a kind of target and done on it: a type for each question and action, and the closed sets
/// of all.
///
/// ```text
/// vocabulary! { NodeName:
///     questions {
///         /// The partition that `/` is on, such as `/dev/nvme0n1p2`.
///         RootPartition {} -> String = ("find its root partition"), within 1 min;
///     }
///     actions {
///         /// Start a job, detached.
///         WriteFile {
///             /// Where.
///             path: String,
///         } with {
///             /// What.
///             content: Content,
///         } = ("write {path}"), within 2 min, hides (content.secrets());
///     }
/// }
/// ```
///
/// The words are what `write!` takes, with the fields in scope: what is being done, as in "find its root partition on node01:
/// no answer". An answer is kept for a while, unless the question is `never kept`. `hides (EXPRESSION)` gives the secrets of an
/// action, which are hidden in whatever comes back.
///
/// The first fields of an action are its outline, which events carry, and all that its words can name. What else it takes
/// follows `with` and stays out of events: contents, secrets, sums.
macro_rules! vocabulary {
    (
        $of:ty:
        questions { $(
            $(#[$question_doc:meta])*
            $question:ident { $($(#[$asked_doc:meta])* $asked:ident: $asked_type:ty),* $(,)? } -> $answer:ty
            = ($($question_words:tt)+), within $question_number:literal $question_unit:ident $(, $never:ident kept)?;
        )+ }
        actions { $(
            $(#[$action_doc:meta])*
            $action:ident { $($(#[$named_doc:meta])* $named:ident: $named_type:ty),* $(,)? }
            $(with { $($(#[$with_doc:meta])* $with:ident: $with_type:ty),* $(,)? })?
            = ($($action_words:tt)+), within $action_number:literal $action_unit:ident $(, hides ($hidden:expr))?;
        )+ }
    ) => {
        $(
            $(#[$question_doc])*
            #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
            pub struct $question { $($(#[$asked_doc])* pub $asked: $asked_type),* }

            impl $question {
                /// Answers it.
                pub fn answer(&self, answer: $answer) -> Answer {
                    Answer(any::Answer::$question(answer))
                }
            }

            impl From<$question> for Question {
                fn from(question: $question) -> Self {
                    Self::$question(question)
                }
            }

            impl ::std::fmt::Display for $question {
                #[allow(unused_variables, reason = "not every field is in the words")]
                fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                    let Self { $($asked),* } = self;
                    write!(f, $($question_words)+)
                }
            }

            impl crate::contract::Question for $question {
                type Of = $of;
                type Answer = $answer;

                fn bound(&self) -> ::std::time::Duration {
                    vocabulary!(@bound $question_number $question_unit)
                }

                fn is_kept(&self) -> bool {
                    vocabulary!(@kept $($never)?)
                }

                fn read(answer: Answer) -> Option<$answer> {
                    if let any::Answer::$question(answer) = answer.0 { Some(answer) } else { None }
                }
            }
        )+

        /// Any question to it.
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum Question {
            $($(#[$question_doc])* $question($question),)+
        }

        impl ::std::fmt::Display for Question {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                match self {
                    $(Self::$question(question) => question.fmt(f),)+
                }
            }
        }

        impl crate::contract::Question for Question {
            type Of = $of;
            type Answer = Answer;

            fn bound(&self) -> ::std::time::Duration {
                match self {
                    $(Self::$question(question) => question.bound(),)+
                }
            }

            fn is_kept(&self) -> bool {
                match self {
                    $(Self::$question(question) => question.is_kept(),)+
                }
            }

            fn read(answer: Answer) -> Option<Answer> {
                Some(answer)
            }
        }

        /// Any answer. It is made by the question that it answers.
        #[derive(Clone, PartialEq)]
        pub struct Answer(any::Answer);

        impl ::std::fmt::Debug for Answer {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                self.0.fmt(f)
            }
        }

        $(
            $(#[$action_doc])*
            #[derive(Clone, PartialEq, Eq, Debug)]
            pub struct $action {
                $($(#[$named_doc])* pub $named: $named_type,)*
                $($($(#[$with_doc])* pub $with: $with_type,)*)?
            }

            impl From<$action> for Action {
                fn from(action: $action) -> Self {
                    Self::$action(action)
                }
            }

            impl ::std::fmt::Display for $action {
                fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                    crate::contract::Action::outline(self).fmt(f)
                }
            }

            impl crate::contract::Action for $action {
                type On = $of;

                fn bound(&self) -> ::std::time::Duration {
                    vocabulary!(@bound $action_number $action_unit)
                }

                fn outline(&self) -> Outline {
                    Outline::$action { $($named: self.$named.clone()),* }
                }

                #[allow(unused_variables, reason = "most actions hide nothing")]
                fn secrets(&self) -> Vec<crate::text::secret::Secret> {
                    let Self { $($named,)* $($($with),*)? } = self;
                    let secrets: Vec<crate::text::secret::Secret> = Vec::new();
                    $(let secrets = $hidden;)?
                    secrets
                }
            }
        )+

        /// Any action on it.
        #[derive(Clone, PartialEq, Eq, Debug)]
        pub enum Action {
            $($(#[$action_doc])* $action($action),)+
        }

        impl ::std::fmt::Display for Action {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                match self {
                    $(Self::$action(action) => action.fmt(f),)+
                }
            }
        }

        /// An action as events tell of it: which, and what it acts on.
        #[derive(Clone, PartialEq, Eq, Debug, ::serde::Serialize, ::serde::Deserialize)]
        #[serde(tag = "kind", rename_all = "snake_case")]
        pub enum Outline {
            $($(#[$action_doc])* $action { $($(#[$named_doc])* $named: $named_type),* },)+
        }

        impl ::std::fmt::Display for Outline {
            #[allow(unused_variables, reason = "not every field is in the words")]
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                match self {
                    $(Self::$action { $($named),* } => write!(f, $($action_words)+),)+
                }
            }
        }

        impl crate::contract::Action for Action {
            type On = $of;

            fn bound(&self) -> ::std::time::Duration {
                match self {
                    $(Self::$action(action) => action.bound(),)+
                }
            }

            fn outline(&self) -> Outline {
                match self {
                    $(Self::$action(action) => action.outline(),)+
                }
            }

            fn secrets(&self) -> Vec<crate::text::secret::Secret> {
                match self {
                    $(Self::$action(action) => action.secrets(),)+
                }
            }
        }

        /// All answers. Only the questions can make one.
        mod any {
            use super::*;

            #[derive(Clone, PartialEq, Debug)]
            pub enum Answer {
                $($question($answer),)+
            }
        }
    };
    (@kept) => { true };
    (@kept never) => { false };
    (@bound $number:literal s) => { ::std::time::Duration::from_secs($number) };
    (@bound $number:literal min) => { ::std::time::Duration::from_secs($number * 60) };
}
