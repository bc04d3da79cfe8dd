"""The invariants: one sentence, one file, one class each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.simulation.invariants.blind_witness import BlindWitness
from tests.simulation.invariants.bridged_cut import BridgedCut
from tests.simulation.invariants.double_answer import DoubleAnswer
from tests.simulation.invariants.effects_bounded import EffectsBounded
from tests.simulation.invariants.eip_kept import EipKept
from tests.simulation.invariants.eni_attached import EniAttached
from tests.simulation.invariants.fence_first import FenceFirst
from tests.simulation.invariants.fit_to_claim import FitToClaim
from tests.simulation.invariants.fresh_after_pause import FreshAfterPause
from tests.simulation.invariants.kernels_outweigh_wills import KernelsOutweighWills
from tests.simulation.invariants.model_allows import ModelAllows
from tests.simulation.invariants.newest_word import NewestWord
from tests.simulation.invariants.no_needless_move import NoNeedlessMove
from tests.simulation.invariants.no_stale_steal import NoStaleSteal
from tests.simulation.invariants.no_storm import NoStorm
from tests.simulation.invariants.no_taking_back import NoTakingBack
from tests.simulation.invariants.one_holder import OneHolder
from tests.simulation.invariants.one_reason import OneReason
from tests.simulation.invariants.one_unresolved_move import OneUnresolvedMove
from tests.simulation.invariants.persisted_first import PersistedFirst
from tests.simulation.invariants.preemption_waits import PreemptionWaits
from tests.simulation.invariants.quorum_kept import QuorumKept
from tests.simulation.invariants.quota_patience import QuotaPatience
from tests.simulation.invariants.read_after_unknown import ReadAfterUnknown
from tests.simulation.invariants.same_tenure import SameTenure
from tests.simulation.invariants.silence_is_theirs import SilenceIsTheirs
from tests.simulation.invariants.silent_before_word import SilentBeforeWord
from tests.simulation.invariants.speaks_in_time import SpeaksInTime
from tests.simulation.invariants.stop_ends import StopEnds
from tests.simulation.invariants.strangers_keep import StrangersKeep
from tests.simulation.invariants.strict_apart import StrictApart
from tests.simulation.invariants.taking_turns import TakingTurns
from tests.simulation.invariants.terms_grow import TermsGrow
from tests.simulation.invariants.two_readings import TwoReadings
from tests.simulation.invariants.unaware_keep import UnawareKeep
from tests.simulation.invariants.unconfirmed_word import UnconfirmedWord

if TYPE_CHECKING:
    from tests.simulation.invariants.base import Invariant

ALL: tuple[type[Invariant], ...] = (
    BlindWitness,
    BridgedCut,
    DoubleAnswer,
    EffectsBounded,
    EipKept,
    EniAttached,
    FenceFirst,
    FitToClaim,
    FreshAfterPause,
    KernelsOutweighWills,
    ModelAllows,
    NewestWord,
    NoNeedlessMove,
    NoStaleSteal,
    NoStorm,
    NoTakingBack,
    OneHolder,
    OneReason,
    OneUnresolvedMove,
    PersistedFirst,
    PreemptionWaits,
    QuotaPatience,
    QuorumKept,
    ReadAfterUnknown,
    SameTenure,
    SilenceIsTheirs,
    SilentBeforeWord,
    SpeaksInTime,
    StopEnds,
    StrangersKeep,
    StrictApart,
    TakingTurns,
    TermsGrow,
    TwoReadings,
    UnawareKeep,
    UnconfirmedWord,
)
