/*
 * Who is master? N nodes that hear each other over two lossy paths, a failure detector that errs for as long as
 * faults go on, priorities (node 0 ranks first), and a cloud that moves the address from the holder that a claimant
 * has seen, or not at all. How a single call can go wrong is the matter of claim.pml and dwell.pml: here it is
 * one step.
 *
 * Faults come from a budget and are counted: a path or both cut in one direction, a crash, a false suspicion. Then
 * everything heals.
 */
#ifndef N
#define N 2
#endif
#ifndef FAULTS
#define FAULTS 2
#endif
#ifndef PREEMPT
#define PREEMPT 0
#endif
#ifndef APART
#define APART 0             /* 1: a fault comes only when the one before has been dealt with */
#endif
#ifndef EXTRA
#define EXTRA 0             /* moves allowed beyond one for each fault (and one back, when preempting) */
#endif
#ifndef BARS
#define BARS 1              /* a node does not claim back from a holder that it does not hear */
#endif
#ifndef GUARD
#define GUARD 0             /* 1: asks an oracle that denies while the unheard holder serves; 2: that errs until healed */
#endif
#ifndef ALL_PATHS
#define ALL_PATHS 1         /* a peer is dead when every path is silent; 0: when one is */
#endif
#ifndef KEEPS_TERM
#define KEEPS_TERM 1        /* terms survive a crash */
#endif
#ifndef ONCE
#define ONCE 1              /* a claim whose move was applied does not move again, but ends if it was taken back */
#endif
#ifndef YIELDS_TIE
#define YIELDS_TIE 0        /* 1: a claim whose move was applied yields to a master of the same term */
#endif
#ifndef HEEDS_HOLDER
#define HEEDS_HOLDER 1      /* nobody claims from a holder that is heard, unless that one hands over */
#endif
#ifndef LISTENS
#define LISTENS 1           /* after a start a node takes everybody for master whom it has not yet heard or missed */
#endif
#ifndef CONDITIONAL
#define CONDITIONAL 1
#endif
#ifndef STEPS_DOWN
#define STEPS_DOWN 1        /* a master that the cloud does not name any more steps down */
#endif
#ifndef NEWER_WINS
#define NEWER_WINS 1        /* a master that hears one of a newer term steps down */
#endif
#ifndef LOST_LEAVES
#define LOST_LEAVES 1       /* a claim ends when the holder has changed to somebody else; 0: it names the new holder */
#endif
#define TERMS 9             /* more claims than any run below makes: reaching it is a storm, and an error */

mtype = { DOWN, BACKUP, BARRED, CLAIMING, RELEASING, MASTER };

byte holder = 0;
mtype state[N];
byte term[N];
byte view[N];               /* CLAIMING: the holder as last read */
bool moved[N];              /* CLAIMING: this claim has asked the cloud */
byte heir[N];               /* RELEASING: who is to claim */
/* What node n knows of node p is at n * N + p. */
mtype said[N * N];
byte said_term[N * N];
bool alive[N * N];
bool silent_a[N * N];       /* the way from p to n is cut, on each of the two paths */
bool silent_b[N * N];
byte faults = 0;
byte moves = 0;
bool healed = false;

#define AT(me, p) (me * N + p)
#define HEARABLE(me, p) (!silent_a[AT(me, p)] || !silent_b[AT(me, p)])
#define NEWS(me, p) (me != p && state[p] != DOWN && HEARABLE(me, p) && \
  (!alive[AT(me, p)] || said[AT(me, p)] != state[p] || said_term[AT(me, p)] != term[p]))
#define HEARS_NOW(me, p) (me != p && state[p] != DOWN && HEARABLE(me, p) && !NEWS(me, p))
#define SERVES(what) (what == MASTER || what == RELEASING)
#define HEARS_MASTER(me, p) (me != p && alive[AT(me, p)] && SERVES(said[AT(me, p)]))
#define CLAIMS_TOO(me, p) (me != p && alive[AT(me, p)] && said[AT(me, p)] == CLAIMING)
#define RANKS_BEFORE(me, p) (p < me && alive[AT(me, p)] && said[AT(me, p)] == BACKUP)
#define QUIET(me, p) (ALL_PATHS -> !HEARABLE(me, p) : (silent_a[AT(me, p)] || silent_b[AT(me, p)]))

#if N == 2
#define ANY(what, me) (what(me, 0) || what(me, 1))
#else
#define ANY(what, me) (what(me, 0) || what(me, 1) || what(me, 2))
#endif

hidden byte p; hidden byte q; hidden byte top;    /* scratch within one d_step */

inline newest_master(me) {  /* puts the highest term of a master that is heard into `top`, 0 for none */
  top = 0;
  for (q : 0 .. N - 1) {
    if :: HEARS_MASTER(me, q) && said_term[AT(me, q)] > top -> top = said_term[AT(me, q)] :: else fi
  }
}

inline rest(me) { view[me] = 0; moved[me] = false; heir[me] = 0 }

inline begin(me) {
  for (q : 0 .. N - 1) {
    if :: q != me && alive[AT(me, q)] && said_term[AT(me, q)] > term[me] -> term[me] = said_term[AT(me, q)] :: else fi
  }
  term[me]++;
  assert(term[me] < TERMS);
  view[me] = holder;
  moved[me] = false;
  state[me] = CLAIMING; printf("%d claims, term %d\n", me, term[me])
}

/* What a node does about what it hears; all that can be heard now is heard at once. */
inline listen(me) {
  for (p : 0 .. N - 1) {
    if
    :: NEWS(me, p) ->
       said[AT(me, p)] = state[p]; said_term[AT(me, p)] = term[p]; alive[AT(me, p)] = true
    :: else
    fi
  }
  newest_master(me);
  if
  :: top > 0 && (state[me] == BACKUP || state[me] == BARRED) ->
     term[me] = (top > term[me] -> top : term[me])
  :: top > term[me] && SERVES(state[me]) && NEWER_WINS -> state[me] = BACKUP; term[me] = top; rest(me)
  :: top > 0 && (moved[me] && !YIELDS_TIE -> top > term[me] : top >= term[me]) && state[me] == CLAIMING -> state[me] = BACKUP; term[me] = top; rest(me)
  :: top > 0 && top < term[me] && state[me] == CLAIMING && !moved[me] &&
     said[AT(me, view[me])] != RELEASING -> state[me] = BACKUP; rest(me)
  :: else
  fi;
  skip
}

#define MAY_CLAIM(me) (state[me] == BACKUP && !ANY(HEARS_MASTER, me) && !ANY(CLAIMS_TOO, me) && \
  (holder == me || (!ANY(RANKS_BEFORE, me) && !(HEEDS_HOLDER && alive[AT(me, holder)]))))
#define OFFERS(me, p) (me != p && alive[AT(me, p)] && said[AT(me, p)] == RELEASING && state[p] == RELEASING && heir[p] == me)
#define DENIED(me) (GUARD && !alive[AT(me, holder)] && state[holder] == MASTER)

proctype node(byte me) {
end:
  do
  :: d_step { ANY(NEWS, me) && state[me] != DOWN -> listen(me) }
  :: d_step { state[me] != DOWN && me != 0 && alive[AT(me, 0)] && (state[0] == DOWN || QUIET(me, 0)) ->
       alive[AT(me, 0)] = false; said[AT(me, 0)] = DOWN; said_term[AT(me, 0)] = 0 }
  :: d_step { state[me] != DOWN && me != 1 && alive[AT(me, 1)] && (state[1] == DOWN || QUIET(me, 1)) ->
       alive[AT(me, 1)] = false; said[AT(me, 1)] = DOWN; said_term[AT(me, 1)] = 0 }
#if N == 3
  :: d_step { state[me] != DOWN && me != 2 && alive[AT(me, 2)] && (state[2] == DOWN || QUIET(me, 2)) ->
       alive[AT(me, 2)] = false; said[AT(me, 2)] = DOWN; said_term[AT(me, 2)] = 0 }
#endif
  :: d_step { state[me] == BACKUP && ANY(OFFERS, me) -> begin(me) }
  :: d_step { MAY_CLAIM(me) && (holder == me || !DENIED(me) || (GUARD == 2 && !healed)) -> begin(me) }
  :: d_step { state[me] == CLAIMING && holder != me && !(ONCE && moved[me]) &&
       (!CONDITIONAL || holder == view[me]) ->
       holder = me; moves++; moved[me] = true; printf("%d moves the address to itself\n", me);
       assert(moves <= faults * (1 + PREEMPT) + EXTRA) }
  :: d_step { state[me] == CLAIMING && holder == me -> state[me] = MASTER; printf("%d is master\n", me); rest(me) }
  :: d_step { state[me] == CLAIMING && holder != me && (holder != view[me] || (ONCE && moved[me])) ->
       if
       :: LOST_LEAVES -> state[me] = BARRED; rest(me)
       :: else -> view[me] = holder; moved[me] = false
       fi }
  :: d_step { STEPS_DOWN && SERVES(state[me]) && holder != me ->
       state[me] = BARRED; rest(me) }
  :: d_step { state[me] == BARRED && HEARS_NOW(me, holder) -> state[me] = BACKUP }
  :: d_step { state[me] == BARRED && (!BARS || holder == me) ->
       state[me] = BACKUP }
#if PREEMPT
  :: d_step { state[me] == MASTER && me != 0 && alive[AT(me, 0)] && said[AT(me, 0)] == BACKUP ->
       state[me] = RELEASING; heir[me] = 0 }
  :: d_step { state[me] == RELEASING && !alive[AT(me, heir[me])] -> state[me] = MASTER; heir[me] = 0 }
#endif
  od
}

#define BUSY(me, p) (state[p] == CLAIMING || state[p] == RELEASING || NEWS(me, p))
#if N == 2
#define CALM (state[holder] == MASTER && state[1 - holder] != MASTER && !ANY(BUSY, 0) && !ANY(BUSY, 1))
#else
#define CALM (state[holder] == MASTER && state[(holder + 1) % 3] != MASTER && state[(holder + 2) % 3] != MASTER && \
  !ANY(BUSY, 0) && !ANY(BUSY, 1) && !ANY(BUSY, 2))
#endif
#define BUDGET (!healed && faults < FAULTS && (!APART || CALM))   /* a start counts as well: what it forgets can cost a move */

proctype world(byte n; byte m) {    /* what may befall the pair */
end:
  do
  :: d_step { BUDGET && n != m && !silent_a[AT(n, m)] -> silent_a[AT(n, m)] = true; faults++; printf("path a from %d to %d is cut\n", m, n) }
  :: d_step { BUDGET && n != m && HEARABLE(n, m) ->
       silent_a[AT(n, m)] = true; silent_b[AT(n, m)] = true; faults++; printf("%d cannot hear %d\n", n, m) }
  :: d_step { BUDGET && n < m && HEARABLE(n, m) && HEARABLE(m, n) ->
       silent_a[AT(n, m)] = true; silent_b[AT(n, m)] = true;
       silent_a[AT(m, n)] = true; silent_b[AT(m, n)] = true; faults++; printf("%d and %d are cut apart\n", n, m) }
  :: d_step { BUDGET && n != m && state[n] != DOWN && alive[AT(n, m)] ->
       alive[AT(n, m)] = false; said[AT(n, m)] = DOWN; said_term[AT(n, m)] = 0; faults++; printf("%d wrongly suspects %d\n", n, m) }
  od
}

inline forget(n, what, presence) {
  for (p : 0 .. N - 1) { said[AT(n, p)] = what; said_term[AT(n, p)] = 0; alive[AT(n, p)] = presence && p != n };
  skip
}

proctype host(byte n) {
end:
  do
  :: d_step { BUDGET && state[n] != DOWN ->
       state[n] = DOWN; faults++; printf("%d crashes\n", n);
       term[n] = (KEEPS_TERM -> term[n] : 0);
       rest(n);
       forget(n, DOWN, false) }
  :: d_step { state[n] == DOWN -> printf("%d starts\n", n);
       state[n] = BACKUP; faults++;
       if :: LISTENS -> forget(n, MASTER, true) :: else fi }
  od
}

proctype healing() {
  d_step {
    healed = true; printf("all heals\n");
    for (p : 0 .. N * N - 1) { silent_a[p] = false; silent_b[p] = false };
    skip
  }
}

init {
  d_step {
    for (p : 0 .. N - 1) { state[p] = BACKUP; term[p] = 1 };
    for (p : 0 .. N * N - 1) { said[p] = DOWN };
    for (p : 0 .. N - 1) {
      for (q : 0 .. N - 1) {
        said[AT(p, q)] = (q == 0 -> MASTER : BACKUP); said_term[AT(p, q)] = 1; alive[AT(p, q)] = true
      }
    };
    state[0] = MASTER
  };
  atomic {
    run healing();
    run node(0); run node(1); run host(0); run host(1);
    run world(0, 1); run world(1, 0);
#if N == 3
    run node(2); run host(2);
    run world(0, 2); run world(2, 0); run world(1, 2); run world(2, 1)
#endif
  }
}

#if N == 2
#define ONE_MASTER (state[holder] == MASTER && state[1 - holder] != MASTER && state[1 - holder] != RELEASING)
#else
#define ONE_MASTER (state[holder] == MASTER && !SERVES(state[(holder + 1) % 3]) && !SERVES(state[(holder + 2) % 3]))
#endif
#define BEST_MASTER (ONE_MASTER && (!PREEMPT || holder == 0))

/* Something always goes on: Spin's fair search does not count a run that comes to rest as one that goes on so. */
active proctype rest_of_the_world() { do :: holder < 9 od }

ltl settles { <>[] (healed && BEST_MASTER) }
