/*
 * When may a move be sent? One address, N nodes, and a cloud in which a conditional move ("from the holder that I
 * saw, to me") takes effect, or dies, at any moment within D ticks of being sent.
 *
 * The property is an assertion: no move takes effect in another tenure than the one it was decided in. The cloud's
 * check of the holder cannot see that: an address that went 0 -> 2 -> 0 looks to it like one that never moved.
 *
 * Nothing is counted up without end (a move carries one bit, "a change came between", instead of a number of
 * the tenure), so the searches below cover runs of any length.
 */
#ifndef N
#define N 3
#endif
#ifndef D
#define D 3                 /* ticks from sending a move to its effect, at most */
#endif
#ifndef WAIT
#define WAIT (D + 1)        /* ticks that the rule asks for */
#endif
#ifndef L
#define L 0                 /* a reading tells of an instant that is up to L ticks old */
#endif
#ifndef SLOTS
#define SLOTS 1             /* moves of one node that may be unresolved at a time */
#endif
#ifndef CONDITIONAL
#define CONDITIONAL 1       /* the cloud compares the holder with the expected one */
#endif
#ifndef SPARSE
#define SPARSE 0            /* 1: a node reads when it likes, not in every tick */
#endif
#ifndef FORGETS
#define FORGETS 0           /* 1: a node may crash and deny that a move of its own is unresolved */
#endif
#ifndef REFUSED_KEEPS
#define REFUSED_KEEPS 0     /* 1: a move that had no effect leaves what was known as it was */
#endif
#ifndef WORD_DELAY
#define WORD_DELAY 0        /* a peer's word may be this many ticks old when it arrives */
#endif
#ifndef CUT
#define CUT 0               /* 1: node 1 has been unheard for ever, but reaches the cloud */
#endif

/* The rules to choose from. */
#define NONE      0
#define DWELL     1   /* the holder has been seen unchanged for WAIT */
#define LAST_WORD 2   /* for each peer: its latest word is "none", or it is silent and said "none" WAIT ago */
#define ANY_WORD  3   /* for each peer: "none" arrived within WORD_DELAY, or DWELL */
#define NEW_WORD  4   /* for each peer: "none" said since this holder was first seen, or DWELL */
#define RETURN    5   /* WAIT has passed since this node may last have held the address */
#define RETURN_OR_WORD 6  /* the same, or every peer has said "none" since then */
#ifndef RULE
#define RULE DWELL
#endif

#define VIEWS (L > 0 || SPARSE)
#define WORDS (RULE == NEW_WORD || RULE == RETURN_OR_WORD)
#define MOVES (N * SLOTS)
#define LONG (WAIT + L)     /* a time as long as any that matters */

typedef Move { bool live; byte expected; byte age; bool stale };

byte holder = 0;
byte since = LONG;          /* ticks since the holder last changed */
Move moves[MOVES];          /* those of node i are i * SLOTS ... */

#if VIEWS
byte past[L + 1];           /* the holder at the latest ticks; past[0] is now */
byte view[N];               /* what a node last read */
bool outdated[N];           /* whether a change came between that instant and now */
byte steady[N];             /* ticks since the first of its readings that agree without interruption */
#endif
#if RULE == RETURN || RULE == RETURN_OR_WORD
byte settled[N];            /* ticks since a node's own last move was resolved, as far as it matters */
byte away[N];               /* ticks since it knows that it does not hold the address */
bool gone[N];               /* whether it knows that */
#endif
#if WORDS
bool heard[N * N];          /* heard[n * N + p]: p has said "none" to n late enough */
#endif
#if RULE == ANY_WORD
byte word_age[N];           /* ticks since a node could last truly say "none" */
#endif
#if FORGETS
bool denies[N];             /* this node has crashed since it sent, and says "none" all the same */
#endif

/* Scratch within one deterministic step, no part of the state: the search does not restore what is hidden when it
 * goes back to a choice, so whatever lives across a choice must not be. */
hidden byte n; hidden byte p; hidden byte j; hidden byte k; hidden byte busy; hidden byte may;
byte reader; byte lag;              /* these two do, and are 0 between the steps */

inline unresolved_of(who, answer) {
  answer = false;
  for (j : 0 .. SLOTS - 1) { answer = answer || moves[who * SLOTS + j].live }
}

/* Whoever could say "none" at this moment may have been heard saying it: the network delivers as it likes, and a
 * node need not use what it has heard, so every loss and delay is covered. */
inline pass_words() {
  skip;
#if WORDS || RULE == ANY_WORD
  d_step {
  skip;                             /* Spin wants no loop at either end of a d_step */
  for (n : 0 .. N - 1) {
    unresolved_of(n, busy);
#if FORGETS
    busy = busy && !denies[n];
#endif
#if RULE == ANY_WORD
    word_age[n] = (busy -> word_age[n] : 0)
#else
    for (p : 0 .. N - 1) {
#if RULE == NEW_WORD
      heard[p * N + n] = heard[p * N + n] || !busy
#else
      heard[p * N + n] = heard[p * N + n] || (!busy && gone[p] && away[p] >= L)
#endif
    }
#endif
  };
  skip }
#endif
}

inline forget_words_to(who) {
  skip;
#if WORDS
  for (p : 0 .. N - 1) { heard[who * N + p] = false };
  skip
#endif
}

/* What a node concludes from a reading about itself: whether, and since when, it cannot hold the address. */
inline conclude(who, seen) {
  skip;
#if RULE == RETURN || RULE == RETURN_OR_WORD
  unresolved_of(who, busy);
  if
  :: seen == who || (busy && !REFUSED_KEEPS) -> gone[who] = false; away[who] = 0; forget_words_to(who)
  :: seen != who && !busy && !gone[who] && settled[who] >= L -> gone[who] = true; away[who] = 0
  :: else
  fi
#endif
}

inline read(who) {
  skip;
#if VIEWS
  do :: lag < L -> lag++ :: break od;
  skip;
  d_step {
    printf("node %d reads node %d\n", who, past[lag]);
    steady[who] = (view[who] == past[lag] -> steady[who] : 0);
    view[who] = past[lag];
    outdated[who] = (since < lag);
    conclude(who, past[lag]);
    lag = 0
  }
#endif
}

#if VIEWS
#define SEEN(who) view[who]
#define STEADY(who) steady[who]
#define OUTDATED(who) outdated[who]
#else
#define SEEN(who) holder
#define STEADY(who) since
#define OUTDATED(who) false
#endif

inline all_said_none(who) {
  may = true;
  for (p : 0 .. N - 1) {
#if WORDS
    may = may && (p == who || heard[who * N + p])
#elif RULE == ANY_WORD
    may = may && (p == who || word_age[p] <= WORD_DELAY)
#elif RULE == LAST_WORD
    unresolved_of(p, busy);
    may = may && (p == who || !busy || (CUT && (p == 1 || who == 1)))
#else
    skip
#endif
  }
}

inline entitled(who) {
#if RULE == NONE
  may = true
#elif RULE == DWELL
  may = STEADY(who) >= WAIT
#elif RULE == LAST_WORD
  all_said_none(who)
#elif RULE == ANY_WORD || RULE == NEW_WORD
  all_said_none(who);
  may = may || STEADY(who) >= WAIT
#elif RULE == RETURN
  may = gone[who] && away[who] >= WAIT
#else
  all_said_none(who);
  may = gone[who] && (may || away[who] >= WAIT)
#endif
}

inline send(slot, who) {
  moves[slot].live = true;
  moves[slot].expected = SEEN(who);
  moves[slot].stale = OUTDATED(who);
  moves[slot].age = 0;
  printf("node %d asks to move the address from node %d\n", who, SEEN(who));
#if (RULE == RETURN || RULE == RETURN_OR_WORD) && !REFUSED_KEEPS
  gone[who] = false; away[who] = 0; settled[who] = 0;
#endif
#if RULE == RETURN_OR_WORD && !REFUSED_KEEPS
  forget_words_to(who)
#else
  skip
#endif
}

inline apply(i) {
  assert(!moves[i].stale);          /* no move takes effect in another tenure than its own */
  printf("cloud: from node %d to node %d\n", holder, i / SLOTS);
  holder = i / SLOTS;
  since = 0;
#if (RULE == RETURN || RULE == RETURN_OR_WORD) && REFUSED_KEEPS
  gone[i / SLOTS] = false; away[i / SLOTS] = 0; settled[i / SLOTS] = 0;
#endif
#if RULE == RETURN_OR_WORD && REFUSED_KEEPS
  forget_words_to(i / SLOTS);
#endif
  for (k : 0 .. MOVES - 1) { moves[k].stale = moves[k].live }
#if VIEWS
  past[0] = holder;
  for (k : 0 .. N - 1) { outdated[k] = true };
  skip
#elif RULE == NEW_WORD
  for (k : 0 .. N * N - 1) { heard[k] = false }
#endif
}

inline end_of(i) {
  moves[i].live = false; moves[i].stale = false; moves[i].age = 0; moves[i].expected = 0;
#if FORGETS
  unresolved_of(i / SLOTS, busy);
  denies[i / SLOTS] = denies[i / SLOTS] && busy;
#endif
#if !VIEWS
  for (k : 0 .. N - 1) { conclude(k, holder) }
#else
  skip
#endif
}

proctype node(byte me) {
end:
  do
  :: atomic {
       !moves[me * SLOTS + SLOTS - 1].live ->
       read(me);                    /* nothing is asked without a reading first */
       d_step {
         entitled(me);
         if
         :: may && SEEN(me) != me ->
            k = 0;
            do :: moves[me * SLOTS + k].live -> k++ :: else -> break od;
            send(me * SLOTS + k, me)
         :: else
         fi };
       pass_words() }
#if FORGETS
  :: atomic {
       !denies[me] ->
       unresolved_of(me, busy);
       if :: busy -> denies[me] = true :: else fi;
       pass_words() }
#endif
  od
}

proctype cloud(byte i) {            /* what becomes of the move in slot i */
end:
  do
  :: atomic {
       moves[i].live ->
       if
       :: (!CONDITIONAL || moves[i].expected == holder) && holder != i / SLOTS -> d_step { apply(i); skip }
       :: skip                      /* refused, or it never gets there */
       fi;
       d_step { end_of(i); skip };
       pass_words() }
  od
}

inline tick() {
  d_step {
  printf("tick\n");
  for (k : 0 .. MOVES - 1) { moves[k].age = moves[k].age + moves[k].live }
  since = (since < LONG -> since + 1 : since);
#if VIEWS && L > 0
  for (k : 0 .. L - 1) { past[L - k] = past[L - k - 1] }
#endif
  for (n : 0 .. N - 1) {
#if VIEWS
    steady[n] = (steady[n] < LONG -> steady[n] + 1 : steady[n]);
#endif
#if RULE == RETURN || RULE == RETURN_OR_WORD
    away[n] = (gone[n] && away[n] < LONG -> away[n] + 1 : away[n]);
    unresolved_of(n, busy);
    settled[n] = (!busy && settled[n] < L -> settled[n] + 1 : settled[n]);
#elif RULE == ANY_WORD
    word_age[n] = (word_age[n] <= WORD_DELAY -> word_age[n] + 1 : word_age[n]);
#endif
    skip
  };
  skip };
#if VIEWS
  do
  :: reader < N ->
#if SPARSE
     if :: read(reader) :: skip fi;
#else
     read(reader);
#endif
     reader++
  :: else -> reader = 0; break
  od;
#endif
  pass_words()
}

proctype clock() {
end:
  do
  :: atomic {
       true ->
       d_step {
         may = true;
         for (k : 0 .. MOVES - 1) { may = may && !(moves[k].live && moves[k].age >= D) };
         skip };
       if
       :: may -> tick()
       :: else
       fi }
  od
}

init {
  atomic {
    for (n : 0 .. N - 1) {
#if VIEWS
      steady[n] = LONG;
#endif
#if RULE == RETURN || RULE == RETURN_OR_WORD
      gone[n] = (n != 0); away[n] = (n != 0 -> LONG : 0); settled[n] = L;
#endif
      skip
    }
    pass_words();
    for (k : 0 .. N - 1) { run node(k) }
    for (k : 0 .. MOVES - 1) { run cloud(k) }
    run clock()
  }
}
