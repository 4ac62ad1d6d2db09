# Two stopped jobs are set going by `bg` in every way that fish knows; then the program is called.
status job-control full
source $argv[1]
function stopped
    for round in (seq 1000)
        if test (jobs | string match '*stopped*' | count) -eq $argv[1]
            echo "stopped: $argv[1]"
            return
        end
        sleep 0.01
    end
    echo "not $argv[1] stopped jobs:"
    jobs
    command kill -KILL (jobs -p)
    exit 9
end
sleep 60 &
set first (jobs -lp)
sleep 61 &
set second (jobs -lp)
command kill -STOP $first $second
stopped 2
bg %1
stopped 1
bg $second
stopped 0
command kill -STOP $second
stopped 1
bg
stopped 0
command kill -STOP $first $second
stopped 2
bg 1 2
stopped 0
command kill -STOP $second
stopped 1
bg %2
stopped 0
bg deploy --canary "a b" ''
echo "status: $status"
bg --help
command kill $first $second
