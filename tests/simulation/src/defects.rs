//! Deliberate defects, put between the product and its world: each is one that an invariant has to find.

/// A defect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Defect {
    /// Whoever looks at the lock finds it its own.
    EverybodyHoldsTheLock,
    /// Records of releases are not kept.
    ForgetsRecords,
    /// Notifications reach nobody.
    TellsNobody,
    /// A release does not know its own deployment again.
    BlindToItsOwn,
    /// The schema is judged by a policy that allows everything.
    JudgesLeniently,
    /// What ended a release is told with the connection string in it.
    QuotesSecrets,
    /// Executions are answered for as started, and are not.
    StartsNothing,
    /// A stopped execution is shown as one that failed, and what was seen and released last is not found.
    ForgetsWhoStopped,
    /// What was seen and released last is not found.
    ForgetsTheLast,
    /// The hold is not found.
    ForgetsTheHold,
    /// Whoever asks the public URL is told that all is well.
    ServesAnything,
    /// Every release is reported as overtaken.
    ReportsSuperseded,
}
