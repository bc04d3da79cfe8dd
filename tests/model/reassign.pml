/*
 * Strategy "reassign": a move of two calls, release and take, with a gap between them in which nobody holds the
 * address. Whoever leads wants the address; the leader may crash at any step, in the gap too, and then another
 * leads. A call that was sent takes effect, or dies, later, also when its sender has crashed.
 */
#ifndef COMPLETES
#define COMPLETES 1         /* a leader that sees nobody hold the address takes it */
#endif
#ifndef REMEMBERS
#define REMEMBERS 0         /* 1: only the one who released takes: what a crash forgets is never done */
#endif
#ifndef NAMES_HOLDER
#define NAMES_HOLDER 1      /* a release names the holder that it takes the address from */
#endif
#ifndef VACANT_ONLY
#define VACANT_ONLY 1       /* the cloud gives an address only if nobody has it */
#endif
#ifndef CRASHES
#define CRASHES 3
#endif
#ifndef N
#define N 2
#endif
#define NOBODY 9

mtype = { NONE, RELEASE, TAKE };
mtype call[N] = NONE;       /* the call of a node that the cloud has not carried out yet */
byte from[N];               /* RELEASE: the holder it names */
byte holder = 0;
byte leader = 0;
bool up[N] = true;
bool master[N];
bool released[N];           /* this node, in this life, has released the address */
byte crashes = 0;

proctype node(byte me) {
end:
  do
  :: d_step { up[me] && leader == me && call[me] == NONE && holder != NOBODY && holder != me ->
       call[me] = RELEASE; from[me] = holder; released[me] = true }
  :: d_step { up[me] && leader == me && call[me] == NONE && holder == NOBODY && COMPLETES &&
       (!REMEMBERS || released[me]) -> call[me] = TAKE; released[me] = false }
  :: d_step { up[me] && leader == me && call[me] == NONE && holder == me && !master[me] -> master[me] = true }
  :: d_step { up[me] && master[me] && (holder != me || leader != me) -> master[me] = false }
  od
}

proctype cloud(byte me) {
end:
  do
  :: d_step { call[me] == RELEASE ->
       if
       :: holder == from[me] || (!NAMES_HOLDER && holder != NOBODY) ->
          assert(holder == from[me]);                   /* nobody but the named holder loses the address */
          holder = NOBODY
       :: else
       fi;
       call[me] = NONE; from[me] = 0 }
  :: d_step { call[me] == TAKE ->
       if
       :: holder == NOBODY || !VACANT_ONLY ->
          assert(holder == NOBODY);                     /* an address never has two holders */
          holder = me
       :: else
       fi;
       call[me] = NONE }
  :: d_step { call[me] != NONE && crashes < CRASHES -> crashes++; call[me] = NONE; from[me] = 0 }   /* it is lost */
  od
}

proctype fate(byte me) {
end:
  do
  :: d_step { up[me] && crashes < CRASHES -> crashes++; up[me] = false; master[me] = false; released[me] = false }
  :: d_step { !up[me] -> up[me] = true }
  :: d_step { up[me] && leader != me && !up[leader] -> leader = me }
  :: d_step { up[me] && leader != me && crashes < CRASHES -> crashes++; leader = me }    /* a hand-over */
  od
}

init {
  byte n;
  atomic { for (n : 0 .. N - 1) { run node(n); run cloud(n); run fate(n) } }
}

/* Something always goes on: Spin's fair search does not count a run that comes to rest as one that goes on so. */
active proctype rest_of_the_world() { do :: crashes < 99 od }

ltl recovers { <>[] (holder != NOBODY && leader == holder && up[leader] && master[leader]) }
