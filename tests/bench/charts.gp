# SPDX-License-Identifier: MIT
#
# charts.gp: draws the charts of a run from the .dat files in the working directory, each if its file is there.
#
# The files have blocks, parted by two blank lines: a line of headings, the second of them the block's name, then the
# points.  What the axes say is written by seqdb-bench; nothing is computed here.
set encoding utf8
has(file) = int(system("test -s '" . file . "' && echo 1 || echo 0"))
blocks(file) = int(system("grep -c '^\"[^\"]*\" \"' '" . file . "'"))
name_of(file, i) = system(sprintf( \
  "grep '^\"[^\"]*\" \"' '%s' | sed -n '%ds/^\"[^\"]*\" \"\\(.*\\)\"$/\\1/p'", file, i + 1))
height(text) = int(system("grep -c . " . text))

# ---- throughput: a panel for each workload, a bar for each contender ---------------------------------------------

if (has('throughput.dat') && blocks('throughput.dat') > 0) {
  count = blocks('throughput.dat')
  set terminal svg size 900, 40 + 230 * count font 'sans,12' noenhanced background rgb 'white'
  set output 'throughput.svg'
  set multiplot layout count, 1 margins 0.2, 0.92, 0.03, 0.97 spacing 0, 0.075
  unset key
  set border 1
  set tics nomirror
  set grid xtics lc rgb '#dddddd'
  set style fill solid 0.85 noborder
  do for [i = 0:count - 1] {
    set title name_of('throughput.dat', i) . ', GB/s'
    set yrange [*:*] reverse
    set xrange [0:*]
    plot 'throughput.dat' index i every ::1 using 2:0:(0):2:($0 - 0.36):($0 + 0.36):ytic(1) \
         with boxxyerror lc rgb '#1b6ca8', \
         '' index i every ::1 using 2:0:(sprintf(' %.3g', $2)) with labels left font ',11'
  }
  unset multiplot
  reset
}

# ---- targets -----------------------------------------------------------------------------------------------------

if (has('targets.dat')) {
  set terminal svg size 900, 80 + 24 * height('targets.dat') font 'sans,12' noenhanced background rgb 'white'
  set output 'targets.svg'
  unset key
  set border 1
  set tics nomirror
  set grid xtics lc rgb '#dddddd'
  set title 'Times better than the target (1 = just met)'
  set logscale x 2
  set xrange [0.125:32]
  set yrange [*:*] reverse
  set style fill solid 0.85 noborder
  set arrow from 1, graph 0 to 1, graph 1 nohead lc rgb 'black' front
  clip(value) = value < 0.125 ? 0.125 : value > 32 ? 32 : value
  plot 'targets.dat' using (clip($2)):0:(1 < clip($2) ? 1 : clip($2)):\
         (1 < clip($2) ? clip($2) : 1):($0 - 0.36):($0 + 0.36): \
         ($2 < 1 ? 0xd1495b : 0x2e8b57):ytic(1) with boxxyerror lc rgb variable
  reset
}

# ---- latency -------------------------------------------------------------------------------------------------------

do for [workload in 'commit1 commit10'] {
  file = 'latency-' . workload . '.dat'
  if (has(file)) {
    count = blocks(file)
    set terminal svg size 900, 480 font 'sans,12' noenhanced background rgb 'white'
    set output 'latency-' . workload . '.svg'
    set title workload eq 'commit1' ? 'Commit of one 100-byte append' : 'Commit touching 10 regions'
    set ylabel 'microseconds, median of the rounds'
    set logscale y
    set border 3
    set tics nomirror
    set grid ytics lc rgb '#dddddd'
    set key outside right
    set xrange [-0.3:4.3]
    plot for [i = 0:count - 1] file index i using 0:2:xtic(1) with linespoints lw 2 pt 7 ps 0.6 title columnheader(2)
    reset
  }
}

# ---- scaling -------------------------------------------------------------------------------------------------------

do for [axis in 'regions size threads'] {
  file = 'scale-' . axis . '.dat'
  if (has(file)) {
    count = blocks(file)
    set terminal svg size 900, 480 font 'sans,12' noenhanced background rgb 'white'
    set output 'scale-' . axis . '.svg'
    set border 3
    set tics nomirror
    set grid ytics lc rgb '#dddddd'
    set key outside right
    set title 'Cost against the ' . (axis eq 'regions' ? 'number of regions' : 'size of a region')
    set xlabel axis eq 'size' ? 'bytes' : axis
    set ylabel 'nanoseconds'
    if (axis eq 'threads') {
      set title 'Rate of all threads together'
      set ylabel 'times the rate of one thread'
      set xtics 1
      set yrange [0:*]
    } else {
      set logscale xy
      set format '%.0s%c'
    }
    if (axis eq 'size') {
      set xtics ('1 KiB' 1024, '32 KiB' 32768, '1 MiB' 1048576, '32 MiB' 33554432, \
        '1 GiB' 1073741824, '16 GiB' 17179869184)
    }
    plot for [i = 0:count - 1] file index i using 1:2 with linespoints lw 2 pt 7 ps 0.6 title columnheader(2)
    reset
  }
}
