/*
 * One claim against the cloud, step by step, on two nodes that may each want the address at any time: a failure
 * detector that is always wrong. A node may crash between any two steps. A move that was sent takes effect, or
 * dies, at some later moment, whatever its sender has been told or has forgotten.
 *
 * There is no clock: that a move's longest life D has passed is that it is dead, and a node that waits for D
 * waits for that.
 */
#ifndef PERSISTS
#define PERSISTS 1          /* the unresolved move is on disk before it is sent */
#endif
#ifndef OBSERVES
#define OBSERVES 1          /* an unknown outcome is followed by a reading before anything else */
#endif
#ifndef OUTWAITS
#define OUTWAITS 1          /* 0: a reading alone, without waiting for D, settles an unknown outcome */
#endif
#ifndef REREADS
#define REREADS 1           /* after that wait, only a reading asked after it counts */
#endif
#ifndef LATE
#define LATE 1              /* 0: what is to take effect has done so by the time that its sender gives up on it */
#endif
#ifndef CONFIRMS
#define CONFIRMS 1          /* "applied" makes nobody master without a reading */
#endif
#ifndef CONDITIONAL
#define CONDITIONAL 1       /* the cloud compares the holder with the expected one */
#endif
#ifndef CRASHES
#define CRASHES 3
#endif
#ifndef PLANNED
#define PLANNED 0           /* 1: the address moves only because its master offers it */
#endif
#ifndef STRICT
#define STRICT 0            /* 1: the master has stopped answering before it offers */
#endif

/* What is asserted. */
#define PROMISES 0          /* the first four of these together */
#define STALE    1          /* no move takes effect in another tenure than the one it was decided in */
#define SINGLE   2          /* a node has one unresolved move at most */
#define BLIND    3          /* after an unknown outcome a reading comes before anything else is sent */
#define MASTERY  4          /* a node becomes master only by a reading that names it, asked after its last move */
#define DOUBLE   5          /* never do both nodes answer */
#define REACHED  6          /* not a promise: shows that the address can come back to where it began */
#define NOBODY   2
#ifndef CHECK
#define CHECK PROMISES
#endif
#define ASSERTS(what) (CHECK == what || (CHECK == PROMISES && what <= MASTERY))

mtype = { DOWN, IDLE, SEEN, SAVED, SENT, UNKNOWN, MASTER };
typedef Move { bool live; byte expected; bool stale };

byte holder = 0;
byte crashes = 0;
bool returned = false;
Move moves[4];              /* those of node i are 2 * i and 2 * i + 1; the second is for a node that breaks a rule */
mtype pc[2] = IDLE;
byte view[2];
bool outdated[2];           /* a change came between the reading and now */
bool disk[2];               /* a move is unresolved, says the disk */
bool doubt[2];              /* an outcome is unknown, and no reading has come since */
bool fresh[2];              /* the reading was asked after the last move */
bool ended[2];              /* the reading was asked when no move of this node could take effect any more */
bool answers[2];
byte offered_to = NOBODY;    /* PLANNED: who may claim */

#define ALIVE(me) (moves[2 * me].live || moves[2 * me + 1].live)

inline read(me) {
  view[me] = holder;
  outdated[me] = false;
  doubt[me] = false;
  fresh[me] = true;
  ended[me] = !ALIVE(me)
}

inline rest(me) {           /* what is not needed any more is put to one value, which keeps the search small */
  view[me] = 0; outdated[me] = false; fresh[me] = false; ended[me] = false
}

inline become_master(me) {
  assert(!ASSERTS(MASTERY) || (fresh[me] && view[me] == me));
  pc[me] = MASTER; answers[me] = true; offered_to = NOBODY;
  rest(me)
}

inline put(slot, me) {
  moves[slot].expected = view[me];
  moves[slot].stale = outdated[me];
  moves[slot].live = true
}

inline send(me) {
  assert(!ASSERTS(SINGLE) || !ALIVE(me));
  assert(!ASSERTS(BLIND) || !doubt[me]);
  if
  :: !moves[2 * me].live -> put(2 * me, me)
  :: moves[2 * me].live && !moves[2 * me + 1].live -> put(2 * me + 1, me)
  :: else
  fi;
  fresh[me] = false;
  pc[me] = SENT
}

proctype node(byte me) {
end:
  do
  :: atomic { pc[me] == IDLE && (!PLANNED || offered_to == me || holder == me) -> read(me); pc[me] = SEEN }
  :: atomic { pc[me] == SEEN ->
       if
       :: view[me] == me -> disk[me] = false; become_master(me)
       :: view[me] != me && OUTWAITS && disk[me] && (REREADS -> !ended[me] : ALIVE(me)) -> pc[me] = IDLE; rest(me)
       :: view[me] != me && !(OUTWAITS && disk[me] && (REREADS -> !ended[me] : ALIVE(me))) ->
          disk[me] = true; pc[me] = SAVED
       fi }
  :: atomic { pc[me] == SAVED -> send(me) }
  :: atomic { pc[me] == SENT && !ALIVE(me) ->    /* applied or refused: a definite end */
       disk[me] = false;
       if
       :: !CONFIRMS && holder == me -> become_master(me)
       :: CONFIRMS || holder != me -> pc[me] = IDLE; rest(me)
       fi }
  :: atomic { pc[me] == SENT && moves[2 * me].live && !moves[2 * me + 1].live ->    /* throttled: it never counted */
       moves[2 * me].live = false; moves[2 * me].stale = false; moves[2 * me].expected = 0;
       pc[me] = SAVED }
  :: atomic { pc[me] == SENT && (LATE || !ALIVE(me)) -> pc[me] = UNKNOWN; doubt[me] = true }
  :: atomic { pc[me] == UNKNOWN ->
       if
       :: OBSERVES -> pc[me] = IDLE; rest(me)
       :: !OBSERVES -> pc[me] = SAVED
       fi }
  :: atomic { pc[me] == MASTER && holder != me -> pc[me] = IDLE; answers[me] = false }
  :: atomic { PLANNED && pc[me] == MASTER && holder == me && offered_to == NOBODY ->
       offered_to = 1 - me; answers[me] = !STRICT }
  :: atomic { pc[me] != DOWN && crashes < CRASHES ->
       crashes++;
       pc[me] = DOWN; answers[me] = false; doubt[me] = false;
       disk[me] = disk[me] && PERSISTS;
       rest(me) }
  :: atomic { pc[me] == DOWN -> pc[me] = IDLE }
  od
}

proctype fate(byte i) {     /* what becomes of the move in slot i */
end:
  do
  :: atomic { moves[i].live ->
       if
       :: (!CONDITIONAL || moves[i].expected == holder) && holder != i / 2 ->
          assert(!ASSERTS(STALE) || !moves[i].stale);
          returned = returned || i / 2 == 0;
          assert(!ASSERTS(REACHED) || !returned);
          holder = i / 2;
          moves[0].stale = moves[0].live; moves[1].stale = moves[1].live;
          moves[2].stale = moves[2].live; moves[3].stale = moves[3].live;
          outdated[0] = pc[0] == SEEN || pc[0] == SAVED || pc[0] == SENT || pc[0] == UNKNOWN;
          outdated[1] = pc[1] == SEEN || pc[1] == SAVED || pc[1] == SENT || pc[1] == UNKNOWN
       :: skip              /* refused, or it never gets there */
       fi;
       moves[i].live = false; moves[i].stale = false; moves[i].expected = 0;
       assert(!ASSERTS(DOUBLE) || !(answers[0] && answers[1])) }
  od
}

active proctype watch() {
  assert(!ASSERTS(DOUBLE) || !(answers[0] && answers[1]))
}

init {
  atomic {
    if :: PLANNED -> pc[0] = MASTER; answers[0] = true :: else fi;
    run node(0); run node(1); run fate(0); run fate(1); run fate(2); run fate(3)
  }
}
