"""`python -m tests.simulation.run --seeds 200 --start 1 --processes 2`: live many lives, print the figures."""
import sys
from tests.simulation.faults import KINDS
from tests.simulation.options import expand
from tests.simulation.life import live
import time
t=time.process_time(); ms=0; ev=0
for seed in range(int(sys.argv[1]), int(sys.argv[2])):
    o = live(expand(seed, tuple(KINDS)))
    ms+=o.simulated_ms; ev+=o.events
    print(seed, len(o.options.priorities), [w.kind for w in o.options.waves], o.moves, o.healed_in_ms, f"{o.cpu_s:.1f}", o.broken or "ok")
print(ms/3.6e6/(time.process_time()-t), "h/cpu-s", ev/(time.process_time()-t), "ev/s")
