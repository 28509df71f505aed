/* Provisioning one interval: how many servers of each type serve each model, at least power.
   The mathematics is in provisioning.md. Data come from

       hercules-opt export INSTANCE --interval 0 --format gmpl-dat --out day.dat
       glpsol --model provisioning.mod --data day.dat

   All figures are decimals that say exactly what the instance says. */

set SERVER_TYPES;
set MODELS;
set PAIRS within SERVER_TYPES cross MODELS;  # that can serve each other

param rate{PAIRS} > 0;                       # QPS of one server
param power{PAIRS} > 0;                      # W of one server at that rate
param available{SERVER_TYPES} integer, >= 0;
param load{MODELS} >= 0;                     # QPS
param over_provision{MODELS} >= 0;           # share on top of the load

# What whole servers have to reach: the required load, which the data round up to the next multiple of the
# greatest common divisor of the model's rates. No count of servers reaches anything in between.
param required{m in MODELS} >= 0, default (1 + over_provision[m]) * load[m];

var n{(h, m) in PAIRS} integer, >= 0, <= available[h];

minimize power_w: sum{(h, m) in PAIRS} power[h, m] * n[h, m];

subject to cover{m in MODELS}: sum{(h, m) in PAIRS} rate[h, m] * n[h, m] >= required[m];

subject to available_servers{h in SERVER_TYPES}: sum{(h, m) in PAIRS} n[h, m] <= available[h];

solve;

printf "power %.6f W\n", power_w;
printf{(h, m) in PAIRS: n[h, m] > 0} "%s %s %d\n", h, m, n[h, m];

end;
