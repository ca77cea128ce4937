/* Publishes COUNT messages with libnats' asynchronous JetStream API, all acknowledged.
 * Usage: libnats URL RUN COUNT; prints seconds of wall time and of processor time. */
#include <nats/nats.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define SOURCES 2000
#define PAYLOAD 256
#define WINDOW 4096

static void check(natsStatus status, const char *what)
{
    if (status != NATS_OK) {
        fprintf(stderr, "%s: %s\n", what, natsStatus_GetText(status));
        exit(1);
    }
}

static double wall(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec + now.tv_nsec / 1e9;
}

static double cpu(void)
{
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return used.ru_utime.tv_sec + used.ru_stime.tv_sec
        + (used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

static natsMsg *message(const char *run, int number, const char *body)
{
    char subject[64], id[96], message_id[160];
    natsMsg *made = NULL;
    snprintf(subject, sizeof subject, "bench.%d", number % SOURCES);
    snprintf(id, sizeof id, "bot-%d/bench/%d", number % SOURCES, number / SOURCES + 1);
    snprintf(message_id, sizeof message_id, "%s/%s", run, id);
    check(natsMsg_Create(&made, subject, NULL, body, PAYLOAD), "natsMsg_Create");
    const char *headers[][2] = {
        {"ce-specversion", "1.0"},
        {"ce-type", "qiki.telemetry.v1.Snapshot"},
        {"ce-source", "urn:twin:benchmark:bot-0001"},
        {"ce-subject", "power"},
        {"ce-time", "2026-01-01T00:00:00.000Z"},
        {"ce-datacontenttype", "application/json"},
        {"ce-id", id},
        {"Nats-Msg-Id", message_id},
    };
    for (size_t n = 0; n < sizeof headers / sizeof *headers; n++)
        check(natsMsgHeader_Set(made, headers[n][0], headers[n][1]), "natsMsgHeader_Set");
    return made;
}

int main(int argc, char **argv)
{
    natsConnection *connection = NULL;
    jsCtx *js = NULL;
    jsOptions options;
    jsPubOptions complete;
    natsMsgList unacknowledged = {0};
    char body[PAYLOAD];
    if (argc != 4)
        return 2;
    int count = atoi(argv[3]);
    memset(body, ' ', sizeof body);
    memcpy(body, "{\"fill\":\"x\"}", 12);
    check(natsConnection_ConnectTo(&connection, argv[1]), "natsConnection_ConnectTo");
    check(jsOptions_Init(&options), "jsOptions_Init");
    options.PublishAsync.MaxPending = WINDOW;
    options.PublishAsync.StallWait = 10000;
    check(natsConnection_JetStream(&js, connection, &options), "natsConnection_JetStream");
    check(jsPubOptions_Init(&complete), "jsPubOptions_Init");
    complete.MaxWait = 60000;
    double started = wall(), used = cpu();
    for (int n = 0; n < count; n++) {
        natsMsg *next = message(argv[2], n, body);
        check(js_PublishMsgAsync(js, &next, NULL), "js_PublishMsgAsync");
    }
    check(js_PublishAsyncComplete(js, &complete), "js_PublishAsyncComplete");
    printf("%.6f %.6f\n", wall() - started, cpu() - used);
    js_PublishAsyncGetPendingList(&unacknowledged, js);
    return unacknowledged.Count == 0 ? 0 : 1;
}
