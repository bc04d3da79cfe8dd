/*
 * Strategy "reassign": a move of two calls, release and take, with a gap between them in which nobody holds the
 * address. Two nodes; whoever leads wants the address; the leader may crash at any step, in the gap too, and then
 * the other leads. A call that was sent takes effect, or dies, later, also when its sender has crashed.
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
#define NOBODY 2

mtype = { NONE, RELEASE, TAKE };
mtype call[2] = NONE;       /* the call of a node that the cloud has not carried out yet */
byte from[2];               /* RELEASE: the holder it names */
byte holder = 0;
byte leader = 0;
bool up[2] = true;
bool master[2];
bool released[2];           /* this node, in this life, has released the address */
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
  :: d_step { up[me] && crashes < CRASHES ->
       crashes++;
       up[me] = false; master[me] = false; released[me] = false;
       leader = (up[1 - me] -> 1 - me : leader) }
  :: d_step { !up[me] -> up[me] = true; leader = (up[1 - me] -> leader : me) }
  :: d_step { up[me] && leader != me && crashes < CRASHES -> crashes++; leader = me }    /* a hand-over */
  od
}

init { atomic { run node(0); run node(1); run cloud(0); run cloud(1); run fate(0); run fate(1) } }

/* Something always goes on: Spin's fair search does not count a run that comes to rest as one that goes on so. */
active proctype rest_of_the_world() { do :: holder < 9 od }

ltl recovers { <>[] (holder != NOBODY && up[holder] && master[holder] && leader == holder) }
